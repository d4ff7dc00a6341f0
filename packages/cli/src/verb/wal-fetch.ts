import { withGrace } from "../grace.ts";
import { retried } from "../retry.ts";
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
      const place = await session.repositoryOptions();
      const prefetchCommand = [...session.ownCommand, "wal", "fetch", ...place, "--ahead"];
      await fetchWal({ repository, name, destination, prefetchCommand });
    };
    await withGrace(fetching(), session.signal);
    return { document: { name, destination }, show: () => "" };
  },
};
