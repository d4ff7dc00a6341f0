import { spawn } from "node:child_process";
import { withGrace } from "../grace.ts";
import { retried } from "../retry.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";

export const walFetchVerb: Verb = {
  name: "wal fetch",
  summary: "bring one WAL segment back: for restore_command",
  arguments: [
    { name: "<name>", help: "the segment's name, as %f gives it" },
    { name: "<destination>", help: "where to put it, as %p gives it" },
  ],
  options: [
    {
      flags: "--ahead",
      help: "prefetch what follows <name> into the directory <destination> until nothing is taken from there any more; wal fetch starts this by itself",
    },
  ],
  examples: [
    [
      "wal fetch --repository /var/backups/lifeboat --app documint %f %p",
      "as restore_command has it; exit status 1 means that the archive has no such segment, 126 that this could not be known",
    ],
  ],
  async run({ arguments: [name = "", destination = ""], options }, session) {
    session.assertEngine(["postgres"], "wal fetch");
    const { fetchWal, prefetchWal } = await import("@lifeboat/postgres/archive");
    const fetching = async () => {
      const open = () => session.openRepository("read");
      const repository = await retried(open, session.signal);
      const { signal } = session;
      if (options.ahead === true)
        return prefetchWal({ repository, after: name, spool: destination, signal });
      const startPrefetcher = await prefetcher(session);
      await fetchWal({ repository, name, destination, startPrefetcher });
    };
    await withGrace(fetching(), session.signal);
    return { document: null, show: () => "" };
  },
};

/** A process of its own, which outlives this one and ends by itself when it is idle. */
async function prefetcher(session: Session): Promise<(after: string, spool: string) => void> {
  const [program = "", ...first] = session.ownCommand;
  const place = await session.repositoryOptions();
  return (after, spool) => {
    const words = [...first, "wal", "fetch", ...place, "--ahead", after, spool];
    const child = spawn(program, words, { detached: true, stdio: "ignore" });
    // That none could be started costs time and nothing else.
    child.on("error", () => {});
    child.unref();
  };
}
