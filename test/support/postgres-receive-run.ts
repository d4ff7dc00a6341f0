import { Repository, RepositoryMemory } from "@lifeboat/core";
import { postgresEngine, receiveWal } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";

/** A receiver in a process of its own, to be killed: REPOSITORY STATE URL [synchronous]. Says each position that is durable. */
const [path = "", state = "", url = "", how = ""] = process.argv.slice(2);

const repository = await Repository.open({
  storage: filesystemStorage({ path }),
  app: "test",
  memory: new RepositoryMemory(state),
  mode: "write",
});
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
const [database = ""] = await postgresEngine({ connection: { url } }).databases();
await receiveWal({
  connection: { url },
  folder: repository.folder("postgres", database),
  synchronous: how === "synchronous",
  report: ({ note }) => process.stderr.write(`${note}\n`),
  onDurable: (position) => process.stdout.write(`${position}\n`),
  signal: stop.signal,
});
