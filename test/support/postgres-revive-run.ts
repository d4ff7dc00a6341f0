import { type Manifest, Repository, RepositoryMemory, type Storage } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";

/**
 * Brings a copy to life in a process of its own, from a repository that stops answering at the first
 * question for WAL: REPOSITORY STATE COPY. Says when that is, and waits to be killed.
 */
const [path = "", state = "", copy = ""] = process.argv.slice(2);

const storage = filesystemStorage({ path });
const silent: Storage = Object.create(storage, {
  stat: {
    value: () => {
      process.stdout.write("asked\n");
      return new Promise(() => setInterval(() => {}, 1000));
    },
  },
});
const repository = await Repository.open({
  storage,
  app: "test",
  memory: new RepositoryMemory(state),
  mode: "read",
});
const [folder] = await repository.folders("postgres");
if (!folder) throw new Error("the repository is empty");
const engine = postgresEngine({});
const { manifests } = await repository.backups(folder);
const plan = await engine.plan(folder, manifests as Manifest[], { kind: "latest" }, {});
await engine.revive({
  folder: folder.over(silent),
  plan,
  restored: {
    path: copy,
    bytes: 0,
    willRecoverTo: plan.willRecoverTo,
    recoveredTo: null,
    findings: [],
  },
  report: () => {},
  signal: new AbortController().signal,
});
