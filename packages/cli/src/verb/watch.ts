import { inOneLine } from "../printable.ts";
import type { Verb } from "../verb.ts";

export const watchVerb: Verb = {
  name: "watch",
  summary: "ship the log of the live database until stopped",
  options: [],
  examples: [["watch --quiet", "as a service: SIGTERM ships the rest and ends with 143"]],
  async run(_, session) {
    const engine = await session.liveEngine();
    const repository = await session.openRepository("write");
    const [{ watch }, { watchNotes }] = await Promise.all([
      import("../operations.ts"),
      import("../watch-notes.ts"),
    ]);
    const { signal, run } = session;
    // Said under --quiet too: it is no progress, and under a service manager all that anybody reads.
    const log = (line: string) => void process.stderr.write(`${inOneLine(line)}\n`);
    const report = await watch({ repository, engine, notes: watchNotes(), log, signal, run });
    // It runs until it is stopped: that is no work which was done already.
    signal.throwIfAborted();
    return { document: report, show: () => "" };
  },
};
