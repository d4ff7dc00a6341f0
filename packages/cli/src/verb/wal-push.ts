import { withGrace } from "../grace.ts";
import { parseSize } from "../option-values.ts";
import type { Verb } from "../verb.ts";

export const walPushVerb: Verb = {
  name: "wal push",
  summary: "archive one WAL segment: for archive_command",
  arguments: [{ name: "<path>", help: "the segment's file, as %p gives it" }],
  options: [
    {
      flags: "--max-backlog <size>",
      help: "give WAL up, and note it, when the repository takes none and more than this waits",
      parse: parseSize,
    },
  ],
  examples: [
    ["wal push --repository /var/backups/lifeboat --app documint %p", "as archive_command has it"],
  ],
  async run({ arguments: [path = ""], options }, session) {
    session.assertEngine(["postgres"], "wal push");
    const maxBacklog = options.maxBacklog as number | undefined;
    const { pushWal } = await import("@lifeboat/postgres/archive");
    const repository = () => session.openRepository("write");
    await withGrace(pushWal({ repository, path, maxBacklog }), session.signal);
    return { document: null, show: () => "" };
  },
};
