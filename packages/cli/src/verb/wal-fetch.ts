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
  options: [],
  examples: [
    [
      "wal fetch --repository /var/backups/lifeboat --app documint %f %p",
      "as restore_command has it; exit status 1 means that the archive has no such segment, 126 that this could not be known",
    ],
  ],
  async run({ arguments: [name = "", destination = ""] }, session) {
    session.assertEngine(["postgres"], "wal fetch");
    const { fetchWal } = await import("@lifeboat/postgres/archive");
    const fetching = async () => {
      const open = () => session.openRepository("read");
      const repository = await retried(open, session.signal);
      await fetchWal({ repository, name, destination });
    };
    await withGrace(fetching(), session.signal);
    return { document: null, show: () => "" };
  },
};
