import { basename, resolve } from "node:path";
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
    {
      flags: "--ahead",
      help: "push for the archiver of the data directory <path>, several files at once, until it asks for nothing any more; wal push starts this by itself where many files wait",
    },
  ],
  examples: [
    ["wal push --repository /var/backups/lifeboat --app documint %p", "as archive_command has it"],
  ],
  async run({ arguments: [path = ""], options }, session) {
    session.assertEngine(["postgres"], "wal push");
    const maxBacklog = options.maxBacklog as number | undefined;
    const { pushAhead, pushWal } = await import("@lifeboat/postgres/archive");
    const { signal } = session;
    if (options.ahead === true) {
      const repository = await session.openRepository("write");
      await pushAhead({ repository, dataDirectory: resolve(path), maxBacklog, signal });
      return { document: null, show: () => "" };
    }
    const repository = () => session.openRepository("write");
    const bound = maxBacklog === undefined ? [] : ["--max-backlog", String(maxBacklog)];
    // With what this was called with, in the same directory: its compression is the configuration's, too.
    const { config, repository: at, app } = session.global;
    const place = Object.entries({ config, repository: at, app }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, value],
    );
    const aheadCommand = [...session.ownCommand, "wal", "push", ...place, ...bound, "--ahead"];
    await withGrace(pushWal({ repository, path, maxBacklog, aheadCommand }), signal);
    return { document: { name: basename(path) }, show: () => "" };
  },
};
