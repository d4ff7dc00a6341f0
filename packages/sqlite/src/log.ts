import {
  backupChain,
  byChain,
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  outsideEveryWindow,
  type PlanOptions,
  type RecoveryPlan,
  type RecoveryTarget,
} from "@lifeboat/core";
import { whileMerging } from "./compact/while-merging.ts";
import { detailsOf } from "./details.ts";
import { logOf } from "./log/lost-segments.ts";
import { lineagesOf } from "./log/objects.ts";
import { type LogPart, newestOfLog, partFor, partOfBackup } from "./log/plan.ts";
import { windowsIn } from "./log/windows.ts";

/**
 * Chooses the backup for a target, and what of the log is laid over it.
 * @throws LifeboatError `TARGET_OUTSIDE_WINDOWS`, `BACKUP_NOT_FOUND` (kind `not-found`),
 *   `TARGET_NOT_FOR_SQLITE` (kind `usage`); `LOG_HOLE`, `LOG_OBJECT_INVALID`
 */
export async function planRecovery(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  target: RecoveryTarget,
  { timeline, without = new Set() }: PlanOptions,
): Promise<RecoveryPlan> {
  if (timeline !== undefined) throw foreignTarget("--timeline");
  // One that cannot be read may be what is meant by a time; a backup that is named stands for itself.
  if (target.kind !== "backup") for (const manifest of backups) detailsOf(manifest);
  const left = backups.filter(({ id }) => !without.has(id));
  const { whole, broken } = byChain(left);
  // The log may lead to any state from an older backup too: only who names one must have that.
  const restorable = target.kind === "backup" || whole.length === 0 ? left : whole;
  const others = backups.filter((each) => !whole.includes(each));
  const usable = restorable.filter((each) => !isSuperseded(each, others, target));
  const part = () => logPartFor(folder, usable, target, byChain(backups).whole);
  const { manifest, instant } = await whileMerging(folder, part);
  if (target.kind === "latest")
    for (const [each, lacks] of broken) if (Date.parse(each.consistentAt) > instant) throw lacks;
  return {
    // Never by one that turned out to be damaged: it would be tried for ever.
    backups: backupChain(manifest, left),
    target,
    timeline: null,
    fileName: detailsOf(manifest).fileName,
    willRecoverTo: { time: new Date(instant).toISOString(), lsn: null },
  };
}

/**
 * Whether a backup that can't be restored began another lineage between this one and an instant: by a clock that was set back both logs
 * have that instant, and what the older one holds of it is an older state.
 */
function isSuperseded(manifest: Manifest, others: readonly Manifest[], target: RecoveryTarget) {
  const lineage = logOf(manifest)?.lineage;
  if (target.kind !== "time" || lineage === undefined) return false;
  const until = target.at.toISOString();
  return others.some((each) => {
    const own = logOf(each)?.lineage;
    const isLater = manifest.consistentAt < each.consistentAt && each.consistentAt <= until;
    return isLater && own !== undefined && own !== lineage;
  });
}

/**
 * The backup for a target with what of the log is laid over it.
 * @param known with those that can't be restored themselves
 */
export async function logPartFor(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  target: RecoveryTarget,
  known: readonly Manifest[] = backups,
): Promise<LogPart> {
  switch (target.kind) {
    case "latest": {
      const newest = await newestOfLog(folder, backups, await lineagesOf(folder));
      return newest ?? missing(`a backup of ${folder.path}`);
    }
    case "immediate":
      return partOfBackup(newestBackup(backups) ?? missing(`a backup of ${folder.path}`));
    case "backup":
      return partOfBackup(
        backups.find(({ id }) => id === target.id) ?? missing(`backup ${target.id}`),
      );
    case "time": {
      const lineages = await lineagesOf(folder);
      const part = await partFor(folder, backups, { lineages, target, known });
      if (part) return part;
      throw outsideEveryWindow(target.at, await windowsIn(folder, backups, lineages));
    }
    case "lsn":
    case "xid":
    case "restore-point":
      throw foreignTarget(`--${target.kind}`);
  }
}

function newestBackup(backups: readonly Manifest[]): Manifest | undefined {
  return backups
    .toSorted((a, b) =>
      a.consistentAt === b.consistentAt
        ? compare(a.id, b.id)
        : compare(a.consistentAt, b.consistentAt),
    )
    .at(-1);
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
