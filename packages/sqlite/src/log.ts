import {
  allObjects,
  backupChain,
  type DatabaseFolder,
  LifeboatError,
  type LogCheck,
  type Manifest,
  notAvailable,
  outsideEveryWindow,
  type RecoveryPlan,
  type RecoveryTarget,
  type RecoveryWindow,
} from "@lifeboat/core";
import { detailsOf } from "./details.ts";

/** Each backup is one instant that can be restored: nothing lies between them without a log. */
export function windowsOf(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): readonly RecoveryWindow[] {
  return oldestFirst(backups).map(({ consistentAt }) => ({
    engine: "sqlite",
    database: folder.database,
    timeline: null,
    from: consistentAt,
    to: consistentAt,
  }));
}

/**
 * Chooses the backup for a target.
 * @throws LifeboatError `TARGET_OUTSIDE_WINDOWS`, `BACKUP_NOT_FOUND` (kind `not-found`),
 *   `TARGET_NOT_FOR_SQLITE` (kind `usage`)
 */
export function planRecovery(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  target: RecoveryTarget,
  options: { readonly timeline?: number | undefined },
): RecoveryPlan {
  if (options.timeline !== undefined) throw foreignTarget("--timeline");
  const base = baseFor(folder, oldestFirst(backups), target);
  const willRecoverTo = { time: base.consistentAt, lsn: null };
  const { fileName } = detailsOf(base);
  return { backups: backupChain(base, backups), target, timeline: null, fileName, willRecoverTo };
}

function baseFor(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  target: RecoveryTarget,
): Manifest {
  switch (target.kind) {
    case "latest":
    case "immediate":
      return backups.at(-1) ?? missing(`a backup of ${folder.path}`);
    case "backup":
      return backups.find(({ id }) => id === target.id) ?? missing(`backup ${target.id}`);
    case "time": {
      if (target.exclusive) throw notAvailable("--exclusive for a SQLite database");
      const at = target.at.toISOString();
      const found = backups.findLast(({ consistentAt }) => consistentAt === at);
      if (!found) throw outsideEveryWindow(target.at, windowsOf(folder, backups));
      return found;
    }
    case "lsn":
    case "xid":
    case "restore-point":
      throw foreignTarget(`--${target.kind}`);
  }
}

/** Reads the log in the repository: nothing writes one yet, so whatever lies there is foreign. */
export async function checkLog(folder: DatabaseFolder): Promise<LogCheck> {
  const problems = [];
  let objects = 0;
  let bytes = 0;
  for await (const stored of allObjects(folder.storage, `${folder.path}/wal/`)) {
    objects += 1;
    bytes += stored.bytes;
    problems.push({
      object: stored.path,
      code: "UNKNOWN_OBJECT",
      message:
        "this version writes no SQLite log: it was put there by something else, or by a newer Lifeboat",
    });
  }
  return { objects, bytes, problems };
}

function oldestFirst(backups: readonly Manifest[]): Manifest[] {
  return backups.toSorted((a, b) =>
    a.consistentAt === b.consistentAt
      ? compare(a.id, b.id)
      : compare(a.consistentAt, b.consistentAt),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function missing(what: string): never {
  throw new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no ${what.replace(/^a /, "")}`,
    remedy: "see what there is with lifeboat list, or take one with lifeboat backup",
  });
}

function foreignTarget(option: string): LifeboatError {
  return new LifeboatError({
    code: "TARGET_NOT_FOR_SQLITE",
    kind: "usage",
    message: `${option} means nothing for a SQLite database`,
    remedy: "name an instant with --at, or a backup with --backup",
  });
}
