import { type BackupSummary, summaryOf } from "./backup-summary.ts";
import type { Engine, Problem } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { engineOf } from "./engine-of.ts";
import { type ExportSummary, exportSummary } from "./export-manifest.ts";
import { exportsOf } from "./exports.ts";
import { objectsAmiss } from "./objects-amiss.ts";
import { reachOf } from "./reach-of.ts";
import type { Repository } from "./repository.ts";
import type { RecoveryWindow } from "./window.ts";

export interface BackupList {
  readonly app: string;
  /** The engine that is live now; null when only the repository is known. */
  readonly live: EngineKind | null;
  /** Oldest first. */
  readonly backups: readonly BackupSummary[];
  readonly windows: readonly RecoveryWindow[];
  /** Logical dumps, oldest first. */
  readonly exports: readonly ExportSummary[];
  /** Backups that are there but cannot be used, as far as manifests and a listing tell; what of the log is proved to be gone; records. */
  readonly problems: readonly Problem[];
}

/** What can be restored, from the repository alone. */
export async function list(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  /** Only this engine's. */
  readonly engine?: EngineKind | undefined;
  readonly live: EngineKind | null;
}): Promise<BackupList> {
  const { repository, engines, live } = request;
  const backups: BackupSummary[] = [];
  const windows: RecoveryWindow[] = [];
  const exports: ExportSummary[] = [];
  const problems: Problem[] = repository.markProblem ? [repository.markProblem] : [];
  const drills = await repository.drills();
  const migrations = await repository.migrationRecords();
  problems.push(...drills.problems, ...migrations.problems);
  for (const folder of await repository.folders(request.engine)) {
    const found = await repository.backups(folder);
    backups.push(...found.manifests.map(summaryOf));
    problems.push(...found.problems);
    const amiss = await objectsAmiss(folder, found.manifests);
    problems.push(...amiss.map(({ object, code, message }) => ({ object, code, message })));
    const known = await reachOf(engineOf(engines, folder.engine), folder, found.manifests, amiss);
    windows.push(...known.windows);
    problems.push(...known.problems, ...((await known.lost?.(drills.records)) ?? []));
    const dumps = await exportsOf(folder);
    exports.push(...dumps.manifests.map(exportSummary));
    problems.push(...dumps.problems);
  }
  backups.sort(byId);
  exports.sort(byId);
  return { app: repository.app, live, backups, windows, exports, problems };
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
