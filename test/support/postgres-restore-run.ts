import { Repository, RepositoryMemory, restore } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";

/** A restore in a process of its own, to be killed: REPOSITORY STATE TO [OLD NEW]. */
const [path = "", state = "", to = "", old = "", place = ""] = process.argv.slice(2);

const repository = await Repository.open({
  storage: filesystemStorage({ path }),
  app: "test",
  memory: new RepositoryMemory(state),
  mode: "read",
});
process.stdout.write("begins\n");
await restore({
  repository,
  engines: [postgresEngine({})],
  target: { kind: "immediate" },
  to,
  tablespaceMapping: new Map(old === "" ? [] : [[old, place]]),
  force: false,
  replay: false,
  fetchCommand: ["false"],
  signal: new AbortController().signal,
});
