import { withGrace } from "../grace.ts";
import type { Verb } from "../verb.ts";

export const walPushVerb: Verb = {
  name: "wal push",
  summary: "archive one WAL segment: for archive_command",
  arguments: [{ name: "<path>", help: "the segment's file, as %p gives it" }],
  options: [],
  examples: [
    ["wal push --repository /var/backups/lifeboat --app documint %p", "as archive_command has it"],
  ],
  async run({ arguments: [path = ""] }, session) {
    session.assertEngine(["postgres"], "wal push");
    const repository = await session.openRepository("write");
    const { pushWal } = await import("@lifeboat/postgres/archive");
    await withGrace(pushWal({ repository, path }), session.signal);
    return { document: null, show: () => "" };
  },
};
