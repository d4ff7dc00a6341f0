import { chown, cp, mkdir, stat, writeFile } from "node:fs/promises";
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
import { type Account, accountMay, postgresEngine } from "@lifeboat/postgres";
import { filesystemStorage } from "@lifeboat/storage";
import { build } from "esbuild";
import { ask, type TestCluster } from "./postgres.ts";
import { sharedByRun } from "./shared-by-run.ts";

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
 * which cannot reach this folder: bundled, with a copy of Node where need be.
 * @returns the command's words before `push` or `fetch`
 */
export async function walCommand({ account, directory }: TestCluster): Promise<string[]> {
  const fill = (folder: string) => bundleWalCommand(folder, account);
  let programs = await sharedByRun("wal-command", account, fill);
  if (programs === undefined) {
    programs = join(directory, "wal-command");
    await fill(programs);
  }
  const ownNode = join(programs, "node");
  const node = (await stat(ownNode).catch(() => undefined)) ? ownNode : process.execPath;
  return [
    node,
    join(programs, "wal-command.js"),
    join(directory, "repository"),
    join(directory, "state"),
  ];
}

async function bundleWalCommand(folder: string, account: Account): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL("./wal-command.ts", import.meta.url))],
    outdir: folder,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  if (!(await accountMay(account, "x", process.execPath)))
    await cp(process.execPath, join(folder, "node"));
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
