import { type BackupSummary, summaryOf } from "./backup-summary.ts";
import type { Engine, EngineKind, Problem } from "./engine.ts";
import { engineOf } from "./engine-of.ts";
import type { Repository } from "./repository.ts";
import type { RecoveryWindow } from "./window.ts";
import { windowsOf } from "./windows-of.ts";

export interface BackupList {
  readonly app: string;
  /** The engine that is live now; null when only the repository is known. */
  readonly live: EngineKind | null;
  /** Oldest first. */
  readonly backups: readonly BackupSummary[];
  readonly windows: readonly RecoveryWindow[];
  /** Backups that are there but cannot be used, as far as a look at the manifests tells. */
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
  const problems: Problem[] = [];
  for (const folder of await repository.folders(request.engine)) {
    const found = await repository.backups(folder);
    backups.push(...found.manifests.map(summaryOf));
    problems.push(...found.problems);
    const known = await windowsOf(engineOf(engines, folder.engine), folder, found.manifests);
    windows.push(...known.windows);
    problems.push(...known.problems);
  }
  backups.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return { app: repository.app, live, backups, windows, problems };
}
