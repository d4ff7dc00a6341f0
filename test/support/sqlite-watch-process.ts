import { parseArgs } from "node:util";
import { Repository, RepositoryMemory, WatchNotes, watch } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";

/** A watch in a process of its own, as the command runs it; ends in order by SIGTERM. */
const { values } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    repository: { type: "string", default: "" },
    state: { type: "string", default: "" },
    "compact-ms": { type: "string" },
  },
});
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
const repository = await Repository.open({
  storage: filesystemStorage({ path: values.repository }),
  app: "product",
  compression: { level: 1, logLevel: 1 },
  memory: new RepositoryMemory(values.state),
  mode: "write",
});
await watch({
  repository,
  engine: sqliteEngine({
    databases: [{ name: "app", path: values.database }],
    watchDirectory: values.state,
    // What these tests ask for is the rest, however slow the machine; the command's own two seconds have a test too.
    watchLimits: {
      graceMs: 60_000,
      ...(values["compact-ms"] && { compactMs: Number(values["compact-ms"]) }),
    },
  }),
  notes: new WatchNotes(values.state),
  signal: stop.signal,
});
process.exit(0);
