import {
  type DatabaseFolder,
  type Manifest,
  notAvailable,
  type RecoveryPlan,
  type RecoveryTarget,
} from "@lifeboat/core";
import { TimelinePath } from "./log-archive.ts";
import {
  type Base,
  type Chain,
  chainOf,
  hasHole,
  isWhole,
  type Log,
  planOf,
  readLog,
} from "./log-chains.ts";
import { livingOf } from "./log-living.ts";
import {
  badLsn,
  gapAfter,
  noBackup,
  noSuchBackup,
  outsideEveryPosition,
} from "./log-plan-refusals.ts";
import { planTime } from "./log-plan-time.ts";
import { instantOf, logWindows } from "./log-windows.ts";
import { formatLsn, parseLsn } from "./wal/lsn.ts";

interface Wish {
  readonly folder: DatabaseFolder;
  readonly backups: readonly Manifest[];
  readonly timeline: number | undefined;
}

/**
 * Chooses base, timeline and end for a recovery target, from the repository alone.
 * @throws LifeboatError `TARGET_OUTSIDE_WINDOWS`, `BACKUP_NOT_FOUND` (kind `not-found`); `WAL_GAP`
 *   (kind `failed`) naming the missing segment; `NOT_AVAILABLE`
 */
export async function planRecovery(wish: Wish, target: RecoveryTarget): Promise<RecoveryPlan> {
  if (target.kind === "xid" || target.kind === "restore-point")
    throw notAvailable(`restore --${target.kind} of Postgres`);
  // Another backup that is damaged keeps nobody from the one that is named.
  const named = target.kind === "backup" ? [manifestNamed(wish, target.id)] : wish.backups;
  const log = await readLog(wish.folder, named);
  const newest = log?.bases.at(-1);
  if (!log || !newest) throw noBackup(wish.folder);
  switch (target.kind) {
    case "backup":
    case "immediate":
      return planBackup(log, target, newest);
    case "latest":
      return planLatest(log, target, wish.timeline);
    case "time":
      return planTime(log, target, wish.timeline);
    case "lsn":
      return planLsn(log, target, wish.timeline);
  }
}

function manifestNamed({ backups }: Wish, id: string): Manifest {
  const manifest = backups.find((each) => each.id === id);
  if (!manifest) throw noSuchBackup(id);
  return manifest;
}

/** What the backup alone holds: it needs only its own WAL, on its own timeline. */
function planBackup(log: Log, target: RecoveryTarget, base: Base): RecoveryPlan {
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
  return planOf(reached, target, { time, lsn: null });
}

/** The newest backup of each timeline, or of the one asked for; its chain whole or not. */
function newestChains(log: Log, timeline: number | undefined): Chain[] {
  const timelines = timeline === undefined ? [...log.archive.segments.keys()] : [timeline];
  return timelines.flatMap((each) => {
    const path = new TimelinePath(log.archive, each);
    return log.bases.flatMap((base) => chainOf(log.archive, path, base) ?? []).at(-1) ?? [];
  });
}

async function planLsn(
  log: Log,
  target: Extract<RecoveryTarget, { kind: "lsn" }>,
  timeline: number | undefined,
): Promise<RecoveryPlan> {
  const lsn = parseLsn(target.lsn);
  if (lsn === undefined) throw badLsn(target.lsn);
  const windows = (await logWindows(log)).filter(
    ({ window }) => timeline === undefined || window.timeline === timeline,
  );
  for (const { chains, end } of windows.toReversed()) {
    const chain = lsn <= end.lastRecord && chains.findLast(({ base }) => base.stop <= lsn);
    if (chain) return planOf(chain, target, { time: null, lsn: formatLsn(lsn) });
  }
  throw outsideEveryPosition(lsn, windows);
}
