import { backup, Repository, RepositoryMemory } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";

/** A backup in a process of its own, to be killed: REPOSITORY STATE URL TRANSPORT WAL RATE. */
const [path = "", state = "", url = "", transport, wal, rate] = process.argv.slice(2);

const repository = await Repository.open({
  storage: filesystemStorage({ path }),
  app: "test",
  memory: new RepositoryMemory(state),
  mode: "write",
});
await backup({
  repository,
  engine: postgresEngine({ connection: { url } }),
  type: "full",
  options: {
    transport: transport as "wire" | "pg_basebackup" | "parallel",
    wal: wal as "stream" | "archive",
    maxRate: Number(rate),
  },
  signal: new AbortController().signal,
});
