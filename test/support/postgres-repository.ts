import { chown, cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type BackupReport,
  backup,
  type DatabaseFolder,
  type Engine,
  Repository,
  RepositoryMemory,
  type SnapshotOptions,
} from "@lifeboat/core";
import { accountMay, postgresEngine } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";
import { build } from "esbuild";
import { ask, type TestCluster } from "./postgres.ts";

/** A repository beside a test cluster, which the server's account may write to. */
export interface ClusterRepository {
  readonly repository: Repository;
  readonly path: string;
  readonly folder: DatabaseFolder;
  readonly engine: Engine;
  /** The engine with no live database. */
  readonly offline: Engine;
  take(options?: SnapshotOptions, signal?: AbortSignal): Promise<BackupReport>;
  /** The file of an object of the repository. */
  file(object: string): string;
}

export async function repositoryBeside(cluster: TestCluster): Promise<ClusterRepository> {
  const path = join(cluster.directory, "repository");
  const state = join(cluster.directory, "state");
  for (const folder of [path, state]) await ownedByServer(cluster, folder);
  const repository = await Repository.open({
    storage: filesystemStorage({ path }),
    app: "test",
    memory: new RepositoryMemory(join(cluster.directory, "own-state")),
    mode: "write",
  });
  const engine = postgresEngine({ connection: { url: cluster.superuserUrl } });
  const [system] = await engine.databases();
  return {
    repository,
    path,
    folder: repository.folder("postgres", system as string),
    engine,
    offline: postgresEngine({}),
    take: (options = {}, signal = new AbortController().signal) =>
      backup({
        repository,
        // Servers change their port when they are restarted.
        engine: postgresEngine({ connection: { url: cluster.superuserUrl } }),
        type: "full",
        options,
        signal,
      }),
    file: (object) => join(path, object),
  };
}

/**
 * The program of `archive_command` and `restore_command` for servers that may run as another account,
 * which cannot reach this folder: bundled, with a copy of Node where need be, beside the cluster.
 * @returns the command's words before `push` or `fetch`
 */
export async function walCommand(cluster: TestCluster): Promise<string[]> {
  const programs = join(cluster.directory, "wal-command");
  await build({
    entryPoints: [fileURLToPath(new URL("./wal-command.ts", import.meta.url))],
    outdir: programs,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
  await writeFile(join(programs, "package.json"), '{ "type": "module" }');
  let node = process.execPath;
  if (!(await accountMay(cluster.account, "x", node))) {
    node = join(programs, "node");
    await cp(process.execPath, node);
  }
  return [
    node,
    join(programs, "wal-command.js"),
    join(cluster.directory, "repository"),
    join(cluster.directory, "state"),
  ];
}

/** Turns archiving into the cluster's own repository on; needs `archive_mode` on. */
export async function archiveInto(cluster: TestCluster): Promise<void> {
  const command = `${(await walCommand(cluster)).join(" ")} push "%p"`;
  await ask(cluster.server, `alter system set archive_command = '${command}'`, "postgres");
  await ask(cluster.server, "select pg_reload_conf()", "postgres");
}

async function ownedByServer({ account }: TestCluster, folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  if (account.foreign) await chown(folder, account.uid, account.gid);
}
