import { backupChain, byChain } from "./backup-chain.ts";
import { type BackupSummary, summaryOf } from "./backup-summary.ts";
import { backupBehind } from "./clock-behind.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Engine, Snapshot, SnapshotOptions } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import type { Finding } from "./finding.ts";
import { mendGuide } from "./guide-in-repository.ts";
import { idAt } from "./ids.ts";
import type { Lock } from "./lock.ts";
import type { BackupType, Manifest, ManifestObject } from "./manifest.ts";
import { objectsAmiss } from "./objects-amiss.ts";
import { type Report, runSteps, type Step, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { backupsOf, clearUnfinished, leftoversOf, removeStrangers } from "./unfinished-backup.ts";
import { markUnfinished, markWhatIsLeft, removeMark, type Unfinished } from "./unfinished-mark.ts";
import { TOOL } from "./version.ts";

export interface BackupRequest {
  readonly repository: Repository;
  readonly engine: Engine;
  /** `incremental` becomes a full one where there is nothing to build on. */
  readonly type: BackupType;
  /** Only these databases of the engine; all when left out. */
  readonly databases?: readonly string[];
  readonly options: SnapshotOptions;
  readonly signal: AbortSignal;
  readonly run?: StepRunner;
}

/** What was backed up: for one database as it is, for several their sums, and each by itself. */
export interface BackupReport extends BackupSummary {
  readonly databases: readonly BackupSummary[];
  readonly findings: readonly Finding[];
}

/**
 * Backs up every database of an engine, each consistent in itself, under one id. The manifest is
 * written last: until then, and after any failure, the backup does not exist. Nothing of it stays then but
 * what the engine says that the next one can go on with; that one bears its id.
 *
 * @throws LifeboatError kind `locked` while another backup of one of these databases runs
 */
export async function backup(request: BackupRequest): Promise<BackupReport> {
  const { repository, engine, signal, run = runSteps } = request;
  await engine.refuseOptions(request.options);
  const folders = (await engine.databases())
    .filter((name) => request.databases?.includes(name) ?? true)
    .map((name) => repository.folder(engine.kind, name));
  const locks: Lock[] = [];
  const manifests: Manifest[] = [];
  const findings: Finding[] = [];
  let basis = NO_BASIS;
  let unfinished: Unfinished | undefined;
  let id = "";
  // Databases that share an id would have to go on together.
  const canGoOnWith = async (object: string) =>
    folders.length === 1 && ((await engine.canGoOnWith?.(object, request.options)) ?? false);

  const backUp = (folder: DatabaseFolder): Step => ({
    title: `back up ${folder.database}`,
    run: async (report) => {
      signal.throwIfAborted();
      const parents = basis.parents.get(folder) ?? [];
      const what = { folder, id, type: basis.type, parents, unfinished };
      const { manifest, snapshot } = await storeSnapshot(request, what, report);
      manifests.push(manifest);
      findings.push(...snapshot.findings);
    },
  });

  try {
    await run([
      {
        title: "take the lock",
        run: async () => {
          for (const folder of folders)
            locks.push(
              await repository.lock(lockName(folder), `backup of ${folder.database}`, { signal }),
            );
          if (request.type === "incremental") basis = await basisOf(repository, engine, folders);
          if (basis.type !== request.type) findings.push(basis.obstacle);
          for (const folder of folders) {
            const left = await clearUnfinished(folder, canGoOnWith);
            if (basis.type === "full") unfinished = left;
          }
          id = unfinished?.id ?? (await freeId(repository, folders, basis.type));
          for (const folder of unfinished ? [] : folders)
            findings.push(...(await backupBehind(folder, id)));
          for (const folder of folders) await markUnfinished(folder, id);
        },
      },
      ...folders.map(backUp),
      {
        title: "write the manifest",
        run: async () => {
          signal.throwIfAborted();
          if (!(await areHeld(locks))) throw lockLost(folders);
          findings.push(...(await mendGuide(repository.storage)));
          for (const [index, folder] of folders.entries()) {
            const manifest = manifests[index] as Manifest;
            if (unfinished) await removeStrangers(folder, manifest);
            await repository.writeManifest(folder, manifest);
            // Where it stays, the next run finds the manifest, and removes it.
            await quietly(() => removeMark(folder, id));
          }
        },
      },
    ]);
  } catch (cause) {
    await quietly(async () => {
      if (locks.length < folders.length) return;
      // What else lies there without a manifest is another run's once the locks are.
      if (!(await areHeld(locks))) {
        for (const folder of folders) await markWhatIsLeft(folder, backupsOf(folder), id);
        return;
      }
      // On a full storage the log needs the room more than the next backup needs a head start.
      const keeps = isFullStorage(cause) ? undefined : canGoOnWith;
      for (const folder of folders)
        if ((await clearUnfinished(folder, keeps))?.id !== id) await removeMark(folder, id);
    });
    for (const lock of locks) await quietly(() => lock.release());
    throw cause;
  }
  for (const lock of locks) await lock.release();
  return reportOf(manifests, findings);
}

/** Why the run failed must not be hidden by a clean-up that fails too: the next run does it again. */
async function quietly(cleanUp: () => Promise<void>): Promise<void> {
  await cleanUp().catch(() => {});
}

function isFullStorage(cause: unknown): boolean {
  return cause instanceof LifeboatError && cause.code === "STORAGE_FULL";
}

async function areHeld(locks: readonly Lock[]): Promise<boolean> {
  for (const lock of locks) if (!(await lock.isHeld())) return false;
  return true;
}

/** Whoever took the lock over has removed our objects: a manifest would name what is not there. */
function lockLost(folders: readonly DatabaseFolder[]): LifeboatError {
  return new LifeboatError({
    code: "LOCK_LOST",
    message: `another run took over the lock of ${folders.map(({ path }) => path).join(", ")}: this one stood still, or could not reach the storage, for longer than its lease`,
    remedy:
      "no manifest was written, so this backup does not exist: run it again, which also removes what is left of it",
  });
}

/** The lock under which one database's backups are made. */
export function lockName(folder: DatabaseFolder): string {
  return `${folder.engine}-${folder.database}`;
}

/** What the backups of one run build on. Databases that are backed up together share a type. */
interface Basis {
  readonly type: BackupType;
  readonly parents: ReadonlyMap<DatabaseFolder, readonly Manifest[]>;
  /** Why it is full where it should have been incremental. */
  readonly obstacle: Finding;
}

const NOTHING_TO_BUILD_ON: Finding = {
  id: "incremental-became-full",
  severity: "info",
  summary: "there was no backup to build on, so this one is full",
  remedy: "the next --type incremental builds on it",
};

const NO_BASIS: Basis = { type: "full", parents: new Map(), obstacle: NOTHING_TO_BUILD_ON };

/** The newest backup of each database with all that it builds on; full backups where one cannot be built on. */
async function basisOf(
  repository: Repository,
  engine: Engine,
  folders: readonly DatabaseFolder[],
): Promise<Basis> {
  const parents = new Map<DatabaseFolder, readonly Manifest[]>();
  for (const folder of folders) {
    const { manifests } = await repository.backups(folder);
    const newest = manifests.at(-1);
    if (!newest) return NO_BASIS;
    const fault = byChain(manifests).broken.get(newest);
    if (fault) return { ...NO_BASIS, obstacle: cannotBuildOn(fault) };
    const chain = backupChain(newest, manifests);
    const [amiss] = await objectsAmiss(folder, chain);
    if (amiss) return { ...NO_BASIS, obstacle: cannotBuildOn(amiss) };
    const obstacle = (await engine.obstacleToBuildOn?.(folder, chain)) ?? null;
    if (obstacle) return { ...NO_BASIS, obstacle };
    parents.set(folder, chain);
  }
  return { type: "incremental", parents, obstacle: NOTHING_TO_BUILD_ON };
}

function cannotBuildOn({ message }: { readonly message: string }): Finding {
  return {
    id: "incremental-became-full",
    severity: "warning",
    summary: `this backup is full, since nothing could be built on the newest one: ${message}`,
    remedy:
      "run lifeboat verify, which finds all that is damaged; the next --type incremental builds on this backup",
  };
}

interface ToStore {
  readonly folder: DatabaseFolder;
  readonly id: string;
  readonly type: BackupType;
  readonly parents: readonly Manifest[];
  /** What this one goes on with, under the same id. */
  readonly unfinished: Unfinished | undefined;
}

async function storeSnapshot(
  request: BackupRequest,
  { folder, id, type, parents, unfinished }: ToStore,
  report: Report,
): Promise<{ manifest: Manifest; snapshot: Snapshot }> {
  const startedAt = new Date();
  const objects: ManifestObject[] = [];
  const snapshot = await request.engine.snapshot({
    folder,
    id,
    type,
    parents,
    options: request.options,
    store: async (name, role, content, beside) => {
      const object = await folder.storeObject(id, name, role, content, beside);
      objects.push(object);
      return object;
    },
    leftovers: unfinished ? leftoversOf(folder, unfinished, (kept) => objects.push(kept)) : [],
    report,
    signal: request.signal,
  });
  const sum = (side: "content" | "stored") =>
    objects.reduce((bytes, object) => bytes + object[side].bytes, 0);
  const manifest: Manifest = {
    format: 1,
    id,
    app: folder.app,
    engine: folder.engine,
    database: folder.database,
    type,
    parent: parents.at(-1)?.id ?? null,
    label: request.options.label ?? null,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    consistentAt: snapshot.consistentAt.toISOString(),
    sourceBytes: sum("content"),
    storedBytes: sum("stored"),
    tool: TOOL,
    objects: objects.sort((a, b) => (a.object < b.object ? -1 : 1)),
    details: snapshot.details,
  };
  return { manifest, snapshot };
}

/** The present instant as an id that nothing bears yet; a clash waits a millisecond. */
async function freeId(
  repository: Repository,
  folders: readonly DatabaseFolder[],
  type: BackupType,
): Promise<string> {
  const suffix = type === "full" ? "full" : "incr";
  for (;;) {
    const id = `${idAt(new Date())}-${suffix}`;
    if (!(await repository.idIsTaken(folders, id))) return id;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function reportOf(manifests: readonly Manifest[], findings: readonly Finding[]): BackupReport {
  const databases = manifests.map(summaryOf);
  const [first] = databases as [BackupSummary];
  const sum = (member: "sourceBytes" | "storedBytes") =>
    databases.reduce((bytes, each) => bytes + each[member], 0);
  const least = (member: "startedAt" | "consistentAt") =>
    databases.map((each) => each[member]).sort()[0] as string;
  return {
    ...first,
    startedAt: least("startedAt"),
    finishedAt: databases
      .map((each) => each.finishedAt)
      .sort()
      .at(-1) as string,
    consistentAt: least("consistentAt"),
    sourceBytes: sum("sourceBytes"),
    storedBytes: sum("storedBytes"),
    damage: databases.flatMap((each) => each.damage),
    databases,
    findings,
  };
}
