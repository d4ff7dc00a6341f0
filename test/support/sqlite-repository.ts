import { join } from "node:path";
import {
  type BackupReport,
  type BackupType,
  backup,
  type DatabaseFolder,
  type Manifest,
  type RecoveryTarget,
  Repository,
  RepositoryMemory,
  type RestoreReport,
  restore,
  type SnapshotOptions,
  type VerifyReport,
  verify,
} from "@lifeboat/core";
import { type SqliteEngineInit, sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import type { ShippedDatabase } from "../../packages/sqlite/src/watch/shipped-database.ts";
import { makeLedger, testFolder } from "./sqlite.ts";

/** A repository on disk below `folder`, and an app with a SQLite database in it, `app` unless named. */
export class SqliteApp {
  readonly folder: string;
  readonly path: string;
  readonly limits: SqliteEngineInit["limits"];

  /** The lineages that are being shipped, by the database's name. */
  readonly shipping = new Map<string, ShippedDatabase>();

  /** The database's name in the repository. */
  readonly name: string;

  constructor(folder: string, path: string, limits: SqliteEngineInit["limits"] = {}, name = "app") {
    this.name = name;
    this.folder = folder;
    this.path = path;
    this.limits = limits;
  }

  get engine() {
    const { path, limits, shipping } = this;
    const databases = [{ name: this.name, path }];
    const watchDirectory = join(this.folder, "memory");
    return sqliteEngine({ databases, shipping, watchDirectory, ...(limits ? { limits } : {}) });
  }

  async repository(): Promise<Repository> {
    return Repository.open({
      storage: filesystemStorage({ path: join(this.folder, "repository") }),
      app: "product",
      compression: { level: 1, logLevel: 1 },
      memory: new RepositoryMemory(join(this.folder, "memory")),
      mode: "write",
    });
  }

  async backup(
    signal: AbortSignal = new AbortController().signal,
    type: BackupType = "full",
    options: SnapshotOptions = {},
  ): Promise<BackupReport> {
    const repository = await this.repository();
    return backup({ repository, engine: this.engine, type, options, signal });
  }

  /** Only the pages that changed since the newest backup. */
  async backupIncrement(): Promise<BackupReport> {
    return this.backup(new AbortController().signal, "incremental");
  }

  async manifests(): Promise<{ folder: DatabaseFolder; manifests: Manifest[] }> {
    const repository = await this.repository();
    const folder = repository.folder("sqlite", this.name);
    return { folder, manifests: (await repository.backups(folder)).manifests };
  }

  /** The manifest's details of the newest backup. */
  async details(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.manifests()).manifests.at(-1)?.details ?? {};
  }

  async verify(deep: boolean): Promise<VerifyReport> {
    const repository = await this.repository();
    const engines = [sqliteEngine({ databases: [] })];
    return verify({ repository, engines, deep, signal: new AbortController().signal });
  }

  async restore(
    to: string,
    options: {
      target?: RecoveryTarget;
      force?: boolean;
      signal?: AbortSignal;
      onItsHost?: boolean;
      skipCheck?: boolean;
      database?: string;
    } = {},
  ): Promise<RestoreReport> {
    return restore({
      repository: await this.repository(),
      engines: [
        sqliteEngine({
          databases: [],
          ...(this.limits ? { limits: this.limits } : {}),
          // As on another host, where no watch leaves word, unless it is said.
          ...(options.onItsHost ? { watchDirectory: join(this.folder, "memory") } : {}),
        }),
      ],
      target: options.target ?? { kind: "latest" },
      database: options.database,
      to,
      tablespaceMapping: new Map(),
      force: options.force ?? false,
      skipCheck: options.skipCheck ?? false,
      replay: false,
      fetchCommand: [],
      signal: options.signal ?? new AbortController().signal,
    });
  }
}

/** An app with one backup of 50 rows. */
export async function backedUp(
  shape: Parameters<typeof makeLedger>[1] = {},
  limits: SqliteApp["limits"] = {},
): Promise<SqliteApp> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"), limits);
  makeLedger(app.path, shape);
  await app.backup();
  return app;
}
