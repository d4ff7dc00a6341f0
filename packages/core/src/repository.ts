import { randomUUID } from "node:crypto";
import { createDocument } from "./create-document.ts";
import { type Compression, DatabaseFolder } from "./database-folder.ts";
import { assertDrillShape, type DrillRecord } from "./drill-record.ts";
import type { Problem } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import { layGuide } from "./guide-in-repository.ts";
import { SAFE_NAME } from "./json-shape.ts";
import { foldersBelow } from "./listing.ts";
import { type Lock, type LockOptions, lockHolder, takeLock } from "./lock.ts";
import { decodeManifest, encodeManifest, type Manifest } from "./manifest.ts";
import { assertMigrationRecordShape, type MigrationRecord } from "./migration-record.ts";
import { readDocument } from "./read-document.ts";
import { documentProblem, type Records, readRecords } from "./read-records.ts";
import { DamagedMark, lostMark, markPath, readMark } from "./repository-mark.ts";
import type { RepositoryMemory } from "./repository-memory.ts";
import { sealedJson } from "./sealed-json.ts";
import type { Storage } from "./storage.ts";

const ENGINES: readonly EngineKind[] = ["sqlite", "postgres"];
const DEFAULT_COMPRESSION: Compression = { level: 3, logLevel: 3 };

export interface OpenRepository {
  readonly storage: Storage;
  readonly app: string;
  readonly compression?: Compression;
  readonly memory: RepositoryMemory;
  /** `write` makes the repository where there is none yet and none was; `read` never does. */
  readonly mode: "read" | "write";
}

/**
 * One app's part of a repository: Lifeboat's layout over a storage. `FORMAT.md` specifies it.
 */
export class Repository {
  readonly storage: Storage;
  readonly app: string;
  /** The repository's own id, from `lifeboat.json`; undefined where that is damaged or lost. */
  readonly id: string | undefined;
  /**
   * What is wrong with `lifeboat.json`, or that it is lost. Whoever only reads does without it: every object carries its own digests, and on the
   * night of a restore the mark is the least of what is needed.
   */
  readonly markProblem: Problem | undefined;
  readonly #compression: Compression;

  private constructor(init: OpenRepository, mark: { id?: string; problem?: Problem }) {
    this.storage = init.storage;
    this.app = init.app;
    this.id = mark.id;
    this.markProblem = mark.problem;
    this.#compression = init.compression ?? DEFAULT_COMPRESSION;
  }

  /**
   * Opens it, or with mode `write` makes it in a place that is empty. With mode `read` a damaged or lost mark is a problem of the
   * repository, and no reason to keep anybody from its backups.
   * @throws LifeboatError `REPOSITORY_MISSING` when there is none; `REPOSITORY_GONE` when there was
   *   one and is none any more (a vanished mount); `NOT_EMPTY` when something else lies there
   */
  static async open(init: OpenRepository): Promise<Repository> {
    const { storage, app, memory } = init;
    if (!SAFE_NAME.test(app)) throw badApp(app);
    try {
      const id = (await readMark(storage, app)) ?? (await makeRepository(init));
      // Only those who write can lose something by it, and a reader may have no home at all.
      if (init.mode === "write") await memory.remember({ storage: storage.description, app, id });
      return new Repository(init, { id });
    } catch (thrown) {
      if (init.mode === "write" || !(thrown instanceof DamagedMark)) throw thrown;
      const { code, message } = thrown;
      return new Repository(init, { problem: { object: markPath(app), code, message } });
    }
  }

  folder(engine: EngineKind, database: string): DatabaseFolder {
    const { storage, app } = this;
    return new DatabaseFolder({ storage, app, engine, database, compression: this.#compression });
  }

  /** The databases that have something in this repository, SQLite's before Postgres'. */
  async folders(engine?: EngineKind): Promise<DatabaseFolder[]> {
    const folders: DatabaseFolder[] = [];
    for (const kind of ENGINES.filter((each) => engine === undefined || each === engine))
      for (const name of await foldersBelow(this.storage, `${this.app}/${kind}/`))
        if (SAFE_NAME.test(name)) folders.push(this.folder(kind, name));
    return folders;
  }

  /** A database's backups, oldest first; manifests that cannot be read are problems. */
  async backups(folder: DatabaseFolder): Promise<{ manifests: Manifest[]; problems: Problem[] }> {
    const manifests: Manifest[] = [];
    const problems: Problem[] = [];
    for (const id of await foldersBelow(this.storage, `${folder.path}/backups/`)) {
      const path = manifestPath(folder, id);
      try {
        const bytes = await readDocument(this.storage, path);
        if (bytes) manifests.push(decodeOwn(bytes, path, folder, id));
      } catch (thrown) {
        problems.push(documentProblem(thrown, path));
      }
    }
    return { manifests, problems };
  }

  /** Makes the backup exist: nothing of it is written after this. */
  async writeManifest(folder: DatabaseFolder, manifest: Manifest): Promise<void> {
    await createDocument(this.storage, manifestPath(folder, manifest.id), encodeManifest(manifest));
  }

  /** Whether anything lies under a backup's id in any of these folders. */
  async idIsTaken(folders: readonly DatabaseFolder[], id: string): Promise<boolean> {
    for (const folder of folders) {
      const page = await this.storage.list({ prefix: `${folder.backupPath(id)}/`, limit: 1 });
      if (page.objects.length > 0) return true;
    }
    return false;
  }

  /** @throws LifeboatError `LOCKED` (kind `locked`) while another run holds it */
  lock(name: string, purpose: string, options: LockOptions = {}): Promise<Lock> {
    return takeLock(this.storage, `${this.app}/locks/${name}`, purpose, options);
  }

  /** Whether a living run holds a lock. */
  async isLocked(name: string): Promise<boolean> {
    return (await lockHolder(this.storage, `${this.app}/locks/${name}`)) !== undefined;
  }

  async writeDrill(record: DrillRecord): Promise<void> {
    const text = sealedJson(record as unknown as Record<string, unknown>);
    await createDocument(this.storage, `${this.app}/drills/${record.id}.json`, text);
  }

  /** Recorded drills, oldest first; records that cannot be read are problems. */
  drills(): Promise<Records<DrillRecord>> {
    return readRecords(this, "drills", assertDrillShape);
  }

  async writeMigrationRecord(record: MigrationRecord): Promise<void> {
    const text = sealedJson(record as unknown as Record<string, unknown>);
    await createDocument(this.storage, `${this.app}/migrations/${record.id}.json`, text);
  }

  /** Records of migrations, oldest first; those that cannot be read are problems. */
  migrationRecords(): Promise<Records<MigrationRecord>> {
    return readRecords(this, "migrations", assertMigrationRecordShape);
  }
}

function manifestPath(folder: DatabaseFolder, id: string): string {
  return `${folder.backupPath(id)}/manifest.json`;
}

/** A manifest that lies under another name than its own was moved or swapped. */
function decodeOwn(bytes: Uint8Array, path: string, folder: DatabaseFolder, id: string): Manifest {
  const manifest = decodeManifest(bytes, path);
  const { app, engine, database } = folder;
  const own =
    manifest.id === id &&
    manifest.app === app &&
    manifest.engine === engine &&
    manifest.database === database;
  if (own) return manifest;
  throw new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${path} belongs to ${manifest.app}/${manifest.engine}/${manifest.database}, backup ${manifest.id}`,
    remedy: "it was moved or swapped: bring the right object back from a copy of the repository",
    details: { object: path },
  });
}

async function makeRepository({ storage, app, memory, mode }: OpenRepository): Promise<string> {
  const known = await memory.recall(storage.description, app);
  // Another run may have made it, and remembered it, since we looked.
  const meanwhile = known && (await readMark(storage, app));
  if (meanwhile) return meanwhile;
  if ((known || mode === "read") && (await holdsDatabases(storage, app)))
    throw lostMark(app, known ? memory.fileOf(storage.description, app) : undefined);
  if (known)
    throw new LifeboatError({
      code: "REPOSITORY_GONE",
      message: `the repository of ${app} in ${storage.description} was there and is gone`,
      remedy: `mount it again; if it was removed on purpose, remove ${memory.fileOf(storage.description, app)} and run again`,
      details: { storage: storage.description, app },
    });
  if (mode === "read") throw missing(storage, app, await appsIn(storage));
  await storage.initialize();
  await assertOwnPlace(storage);
  const id = randomUUID();
  const mark = { format: 1, id, app, engines: ENGINES, createdAt: new Date().toISOString() };
  try {
    await layGuide(storage);
    await storage.create(markPath(app), Buffer.from(sealedJson(mark)));
    return id;
  } catch (thrown) {
    // Two at once may make it; the loser uses what the winner made.
    if (!(thrown instanceof LifeboatError) || thrown.code !== "OBJECT_EXISTS") throw thrown;
    const winner = await readMark(storage, app);
    if (winner === undefined) throw thrown;
    return winner;
  }
}

/** Whether databases of an app lie there, with or without its mark. */
async function holdsDatabases(storage: Storage, app: string): Promise<boolean> {
  // Of a folder that is gone, as behind a vanished mount, nothing below it is asked for.
  if (!(await foldersBelow(storage, "")).includes(app)) return false;
  for (const kind of ENGINES)
    if ((await foldersBelow(storage, `${app}/${kind}/`)).length > 0) return true;
  return false;
}

/** The apps that have a part in this place. */
async function appsIn(storage: Storage): Promise<string[]> {
  const apps: string[] = [];
  for (const name of await foldersBelow(storage, ""))
    if (SAFE_NAME.test(name) && (await storage.stat(markPath(name)))) apps.push(name);
  return apps;
}

function missing(storage: Storage, app: string, others: readonly string[]): LifeboatError {
  return new LifeboatError({
    code: "REPOSITORY_MISSING",
    message: `there is no repository of ${app} in ${storage.description}`,
    remedy:
      others.length > 0
        ? `it has ${others.join(", ")}: check the app's name; the first backup makes the repository`
        : "check the path and the app's name; the first backup makes the repository",
    details: { storage: storage.description, app, apps: others },
  });
}

/** Making a repository among somebody's other files would be a typing error. */
async function assertOwnPlace(storage: Storage): Promise<void> {
  const { objects, folders } = await storage.list({ prefix: "", folded: true, limit: 10 });
  const strange = [...objects.map(({ path }) => path), ...folders].filter(
    // A fresh ext4 mount holds lost+found, and some servers lay hidden folders.
    (path) => path !== "lost+found/" && !path.startsWith("."),
  );
  if (strange.length === 0 || strange.includes("RESTORE.md")) return;
  throw new LifeboatError({
    code: "NOT_EMPTY",
    kind: "refused",
    message: `${storage.description} is not empty and no repository (${strange[0]} lies there)`,
    remedy: "name an empty directory, or one that is not there yet, for the repository",
  });
}

function badApp(app: string): LifeboatError {
  return new LifeboatError({
    code: "APP_INVALID",
    kind: "usage",
    message: `"${app}" cannot be an app's name`,
    remedy:
      "use letters, digits, hyphens, dots and underscores; it becomes a folder in the repository",
  });
}
