import type { StepRunner } from "@lifeboat/core";
import { inOneLine } from "../printable.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";

export const watchVerb: Verb = {
  name: "watch",
  summary:
    "ship the log of the live database until stopped; after a cutover, keep SQLite behind too",
  options: [],
  examples: [["watch --quiet", "as a service: SIGTERM ships the rest and ends with 143"]],
  async run(_, session) {
    const engine = await session.liveEngine();
    const repository = await session.openRepository("write");
    const [{ watch }, { watchNotes }] = await Promise.all([
      import("../operations.ts"),
      import("../watch-notes.ts"),
    ]);
    const { signal } = session;
    // Said under --quiet too: it is no progress, and under a service manager all that anybody reads.
    const log = (line: string) => void process.stderr.write(`${inOneLine(line)}\n`);
    const run = engine.kind === "postgres" ? await besideShipping(session, log) : session.run;
    const report = await watch({ repository, engine, notes: watchNotes(), log, signal, run });
    // It runs until it is stopped: that is no work which was done already.
    signal.throwIfAborted();
    return { document: report, show: () => "" };
  },
};

/** After a cutover the way back to SQLite is kept up beside. Whichever ends first, the other is told to. */
async function besideShipping(session: Session, log: (line: string) => void): Promise<StepRunner> {
  const { wayBackKeeper } = await import("../keep-way-back.ts");
  const keep = await wayBackKeeper(session, log);
  if (keep === null) return session.run;
  return (steps) =>
    session.run(
      steps.map((step) => ({
        ...step,
        run: async (report) => {
          const ended = new AbortController();
          const kept = keep(report, AbortSignal.any([session.signal, ended.signal]));
          try {
            await step.run(report);
          } finally {
            ended.abort();
            await kept;
          }
        },
      })),
    );
}
