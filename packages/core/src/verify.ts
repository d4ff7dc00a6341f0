import { buildingOn, chainProblems } from "./backup-chain.ts";
import { damageIn } from "./backup-summary.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { DrillRecord } from "./drill-record.ts";
import type { Engine, Problem } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { engineOf } from "./engine-of.ts";
import type { ExportManifest } from "./export-manifest.ts";
import { guideProblem } from "./guide-in-repository.ts";
import type { Manifest } from "./manifest.ts";
import { backupsWithoutManifest } from "./manifests-missing.ts";
import { nothingThere } from "./not-to-be-had.ts";
import { unneeded } from "./objects-amiss.ts";
import { type Report, runSteps, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { checkExportManifests, checkExports } from "./verify-exports.ts";
import { checkObject, type Tally } from "./verify-object.ts";

export interface VerifyReport {
  readonly ok: boolean;
  readonly objects: number;
  /** Bytes read from the storage. */
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

/**
 * Reads every stored byte of a repository and compares it with the digests: backups, exports, manifests
 * and log. `deep` also unpacks the backups' objects and checks their content. Finds all that is wrong
 * rather than stopping at the first.
 * @throws LifeboatError `BACKUP_NOT_FOUND` (kind `not-found`) where nothing of any database lies there
 */
export async function verify(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  /** Only this engine's. */
  readonly engine?: EngineKind | undefined;
  readonly deep: boolean;
  readonly signal: AbortSignal;
  readonly run?: StepRunner | undefined;
}): Promise<VerifyReport> {
  const { repository, engines, deep, signal, run = runSteps } = request;
  const tally: Tally = {
    objects: 0,
    bytes: 0,
    problems: repository.markProblem ? [repository.markProblem] : [],
  };
  const manifests = new Map<DatabaseFolder, readonly Manifest[]>();
  const exported = new Map<DatabaseFolder, readonly ExportManifest[]>();
  let drills: readonly DrillRecord[] = [];
  const folders = await repository.folders(request.engine);
  await run([
    {
      title: "read the manifests",
      run: async () => {
        const guide = await guideProblem(repository.storage);
        if (guide) tally.problems.push(guide);
        // Before the backups, which a drill that ends meanwhile may have had more of.
        drills = await checkRecords(repository, tally);
        for (const folder of folders)
          manifests.set(folder, await checkManifests(repository, folder, tally));
        for (const folder of folders)
          exported.set(folder, await checkExportManifests(repository, folder, tally));
      },
    },
    ...folders.flatMap((folder) => [
      {
        title: `check the backups of ${folder.database}`,
        run: async (report: Report) =>
          checkBackups(folder, manifests.get(folder) ?? [], { deep, signal, report, tally }),
      },
      {
        title: `check the exports of ${folder.database}`,
        run: async (report: Report) =>
          checkExports(folder, exported.get(folder) ?? [], { deep, signal, report, tally }),
      },
      {
        title: `check the log of ${folder.database}`,
        run: async () => {
          const engine = engineOf(engines, folder.engine);
          const backups = manifests.get(folder) ?? [];
          const log = await engine.verifyLog(folder, backups, { deep, signal, drills });
          tally.objects += log.objects;
          tally.bytes += log.bytes;
          // One by one: as arguments of one call, hundreds of thousands do not fit on the stack.
          for (const problem of log.problems) tally.problems.push(problem);
        },
      },
    ]),
  ]);
  const ok = tally.problems.length === 0;
  // Of nothing it can't be said that it is whole.
  if (ok && folders.length === 0) throw nothingThere(repository, request.engine);
  return { ok, ...tally };
}

async function checkManifests(
  repository: Repository,
  folder: DatabaseFolder,
  tally: Tally,
): Promise<readonly Manifest[]> {
  const { manifests, problems } = await repository.backups(folder);
  tally.objects += manifests.length + problems.length;
  tally.problems.push(...problems);
  const missing = await backupsWithoutManifest(repository, folder, { manifests, problems });
  tally.problems.push(...missing);
  return manifests;
}

async function checkRecords(repository: Repository, tally: Tally): Promise<readonly DrillRecord[]> {
  const drills = await repository.drills();
  for (const found of [drills, await repository.migrationRecords()]) {
    tally.objects += found.records.length + found.problems.length;
    tally.problems.push(...found.problems);
  }
  return drills.records;
}

async function checkBackups(
  folder: DatabaseFolder,
  manifests: readonly Manifest[],
  how: { deep: boolean; signal: AbortSignal; report: Report; tally: Tally },
): Promise<void> {
  const { tally, report } = how;
  const totalBytes = manifests.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0);
  let bytes = 0;
  tally.problems.push(...chainProblems(folder, manifests));
  for (const manifest of manifests) {
    const damage = damageIn(manifest);
    if (damage.length > 0)
      tally.problems.push({
        object: `${folder.backupPath(manifest.id)}/manifest.json`,
        code: "SOURCE_DAMAGED",
        message: `${manifest.id} holds what was damaged in the database when it was backed up: ${damage.join("; ")}`,
      });
    for (const object of manifest.objects) {
      const path = folder.objectPath(manifest, object);
      const before = tally.problems.length;
      await checkObject(folder, path, object, {
        ...how,
        passed: (chunk) => {
          bytes += chunk;
          report({ bytes, totalBytes, note: path });
        },
      });
      if (tally.problems.length === before) continue;
      const cost = unneeded(object) ?? builtUpon(buildingOn(manifest.id, manifests));
      if (cost === undefined) continue;
      for (const problem of tally.problems.splice(before))
        tally.problems.push({ ...problem, message: `${problem.message}; ${cost}` });
    }
  }
}

/** Of a long chain the first is enough: those behind it build on it too. */
function builtUpon([first, ...more]: readonly string[]): string | undefined {
  if (first === undefined) return undefined;
  return more.length === 0
    ? `${first} builds on this backup`
    : `${first} and ${more.length} more build on this backup`;
}
