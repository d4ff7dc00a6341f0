import {
  type DatabaseFolder,
  type Manifest,
  noSuchBackup,
  type RecoveryPlan,
  type RecoveryTarget,
} from "@lifeboat/core";
import { TimelinePath, walTimelines } from "../wal/log-archive.ts";
import { formatLsn, parseLsn } from "../wal/lsn.ts";
import {
  type Base,
  type Chain,
  chainOf,
  hasHole,
  isWhole,
  type Log,
  planOf,
  readLog,
} from "./chains.ts";
import { readLogEnd } from "./end.ts";
import { livingOf, livingWindow } from "./living.ts";
import { olderTimelines } from "./older-timelines.ts";
import { planRestorePoint, planXid } from "./plan-mark.ts";
import {
  badLsn,
  gapAfter,
  noBackup,
  outsideEveryPosition,
  timelineOfBackup,
} from "./plan-refusals.ts";
import { planTime } from "./plan-time.ts";
import { instantOf, type LogWindow, logWindows } from "./windows.ts";

interface Wish {
  readonly folder: DatabaseFolder;
  readonly backups: readonly Manifest[];
  readonly timeline: number | undefined;
}

/**
 * Chooses base, timeline and end for a recovery target, from the repository alone.
 * @throws LifeboatError `TARGET_OUTSIDE_WINDOWS`, `BACKUP_NOT_FOUND` (kind `not-found`); `WAL_GAP`
 *   (kind `failed`) naming the missing segment
 */
export async function planRecovery(wish: Wish, target: RecoveryTarget): Promise<RecoveryPlan> {
  // Another backup that is damaged keeps nobody from the one that is named.
  const named = target.kind === "backup" ? [manifestNamed(wish, target.id)] : wish.backups;
  const log = await readLog(wish.folder, named);
  const newest = log?.bases.at(-1);
  if (!log || !newest) throw noBackup(wish.folder);
  if (target.kind === "backup") return planBackup(log, target, newest, wish.timeline);
  if (target.kind === "immediate")
    return planBackup(log, target, newestOn(log, wish.timeline), wish.timeline);
  const plan = await planAlong(log, target, wish);
  // Who names a timeline has chosen.
  if (wish.timeline !== undefined) return plan;
  const older = await olderTimelines(log.archive, plan);
  return { ...plan, findings: [...(plan.findings ?? []), ...older] };
}

/** Of a target that lies on one timeline or on several. */
async function planAlong(
  log: Log,
  target: Exclude<RecoveryTarget, { kind: "backup" | "immediate" }>,
  wish: Wish,
): Promise<RecoveryPlan> {
  switch (target.kind) {
    case "latest":
      return planLatest(log, target, wish.timeline);
    case "time":
      return planTime(log, target, await windowsOn(log, wish.timeline));
    case "lsn":
      return planLsn(log, target, await windowsOn(log, wish.timeline));
    case "xid":
      return planXid(log, target, await windowsOn(log, wish.timeline));
    case "restore-point":
      return planRestorePoint(log, target, await windowsOn(log, wish.timeline));
  }
}

async function windowsOn(log: Log, timeline: number | undefined): Promise<readonly LogWindow[]> {
  const windows = await logWindows(log);
  return windows.filter(({ window }) => timeline === undefined || window.timeline === timeline);
}

/** The newest backup that was taken on this timeline. */
function newestOn({ archive, bases }: Log, timeline: number | undefined): Base {
  const found = bases.findLast(
    ({ details }) => timeline === undefined || details.timeline === timeline,
  );
  if (!found) throw noBackup(archive.folder, timeline);
  return found;
}

function manifestNamed({ backups }: Wish, id: string): Manifest {
  const manifest = backups.find((each) => each.id === id);
  if (!manifest) throw noSuchBackup(id);
  return manifest;
}

/** What the backup alone holds: it needs only its own WAL, on its own timeline. */
function planBackup(
  log: Log,
  target: RecoveryTarget,
  base: Base,
  timeline: number | undefined,
): RecoveryPlan {
  if (timeline !== undefined && timeline !== base.details.timeline)
    throw timelineOfBackup(base.manifest.id, base.details.timeline);
  const chain = chainOf(log.archive, new TimelinePath(log.archive, base.details.timeline), base);
  if (!chain || !isWhole(chain)) throw gapAfter(log, chain, base, []);
  const { consistentAt } = base.manifest;
  return planOf(chain, target, { time: consistentAt, lsn: base.details.stopLsn });
}

/** The newest backup, along the timeline that lives, to the end of the archive. */
async function planLatest(
  log: Log,
  target: RecoveryTarget,
  timeline: number | undefined,
): Promise<RecoveryPlan> {
  const ends = newestChains(log, timeline).map((chain) => ({
    ...chain,
    first: chain.base.firstSegment,
    last: chain.runEnd,
    bases: [chain.base],
  }));
  const living = await livingOf(log.archive, ends);
  if (!living) throw noBackup(log.archive.folder, timeline);
  const { of: reached, last } = living;
  if (!isWhole(reached) || hasHole(log, reached))
    throw gapAfter(log, reached, reached.base, await logWindows(log));
  const time = instantOf(last, reached.base.manifest.consistentAt);
  const { path, base, runEnd } = reached;
  const end = await readLogEnd(log.archive, path, base.firstSegment, runEnd);
  return planOf(reached, target, { time, lsn: end ? formatLsn(end.lastRecord) : null });
}

/** The newest backup of each timeline, or of the one asked for; its chain whole or not. */
function newestChains(log: Log, timeline: number | undefined): Chain[] {
  const timelines = timeline === undefined ? [...walTimelines(log.archive)] : [timeline];
  return timelines.flatMap((each) => {
    const path = new TimelinePath(log.archive, each);
    return log.bases.flatMap((base) => chainOf(log.archive, path, base) ?? []).at(-1) ?? [];
  });
}

/**
 * Timelines share the positions of their past, and each has those past the branch for itself. The server stops at the first record that begins
 * at the position or behind it, and fails where none does: at the position of the archive's end, which a server tells once
 * its last commit is written, by the last record instead.
 */
async function planLsn(
  log: Log,
  target: Extract<RecoveryTarget, { kind: "lsn" }>,
  windows: readonly LogWindow[],
): Promise<RecoveryPlan> {
  const lsn = parseLsn(target.lsn);
  if (lsn === undefined) throw badLsn(target.lsn);
  const reaches = ({ base }: Chain) => base.stop <= lsn;
  const holders = windows.filter(({ chains, end }) => lsn <= end.position && chains.some(reaches));
  const living = holders.length > 1 ? await livingWindow(log, holders) : undefined;
  const window = living?.window ?? holders[0];
  const chain = window?.chains.findLast(reaches);
  if (!window || !chain) throw outsideEveryPosition(lsn, windows);
  const { lastRecord } = window.end;
  const last = { kind: "lsn", lsn: formatLsn(lastRecord), exclusive: false } as const;
  return planOf(chain, lsn > lastRecord ? last : target, { time: null, lsn: formatLsn(lsn) });
}
