import {
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  notAvailable,
  outsideEveryWindow,
  type RecoveryPlan,
  type RecoveryTarget,
  windowHolds,
} from "@lifeboat/core";
import { newestSegment, storedAt, TimelinePath } from "./log-archive.ts";
import {
  type Base,
  baseOf,
  type Chain,
  chainOf,
  isWhole,
  type Log,
  readLog,
} from "./log-chains.ts";
import { lastTransaction } from "./log-end.ts";
import { livingOf } from "./log-living.ts";
import { instantOf, type LogWindow, logWindows } from "./log-windows.ts";
import { formatLsn, type Lsn, parseLsn } from "./wal/lsn.ts";
import { segmentName } from "./wal/segment-name.ts";

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
  const log = await readLog(wish.folder, wish.backups);
  const newest = log?.bases.at(-1);
  if (!log || !newest) throw noBackup(wish.folder);
  switch (target.kind) {
    case "backup":
      return planBackup(log, target, baseNamed(wish, target.id));
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

function baseNamed({ backups }: Wish, id: string): Base {
  const manifest = backups.find((each) => each.id === id);
  if (manifest) return baseOf(manifest);
  throw new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup ${id}`,
    remedy: "lifeboat list shows those there are",
    details: { id },
  });
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

/** Whether segments lie behind the hole at which a chain's run ends. */
function hasHole({ archive }: Log, { path, runEnd }: Chain): boolean {
  return (newestSegment(archive, path.timeline) ?? runEnd) > runEnd;
}

async function planTime(
  log: Log,
  target: Extract<RecoveryTarget, { kind: "time" }>,
  timeline: number | undefined,
): Promise<RecoveryPlan> {
  const { at, exclusive } = target;
  const windows = (await logWindows(log)).filter(
    ({ window }) => timeline === undefined || window.timeline === timeline,
  );
  const holders = windows.filter(({ window }) => windowHolds(window, at));
  const found = await onLivingTimeline(
    log,
    holders.length > 0 ? holders : beforeStored(log, windows, at),
  );
  const chain = found?.chains.findLast(
    ({ base }) => Date.parse(base.manifest.consistentAt) <= at.getTime(),
  );
  if (!found || !chain)
    throw outsideEveryWindow(
      at,
      windows.map(({ window }) => window),
    );
  const { archive } = log;
  const last = await lastTransaction(
    archive,
    chain.path,
    chain.base.firstSegment,
    found.end.segment,
  );
  const micros = at.getTime() * 1000;
  // The server stops at the first transaction past the target, and fails where none comes. Past the
  // last one the place is named instead: the last record, which is there, and never a later one that
  // is archived in the meantime.
  const stops = last !== undefined && (exclusive ? micros <= last : micros < last);
  if (stops) return planOf(chain, target, { time: at.toISOString(), lsn: null });
  const lsn = formatLsn(found.end.lastRecord);
  const time = instantOf(last, chain.base.manifest.consistentAt);
  return planOf(chain, { kind: "lsn", lsn, exclusive: false }, { time, lsn });
}

async function onLivingTimeline(
  { archive }: Log,
  windows: readonly LogWindow[],
): Promise<LogWindow | undefined> {
  const ends = windows.map((each) => {
    const [{ base, path }] = each.chains;
    return { ...each, path, first: base.firstSegment, last: each.end.segment };
  });
  return (await livingOf(archive, ends))?.of;
}

/**
 * The windows of an instant past the last that the WAL tells of, but before its last segment was
 * stored: nothing was committed between, as far as the archive reaches, and its end is what can be had.
 */
function beforeStored(log: Log, windows: readonly LogWindow[], at: Date): readonly LogWindow[] {
  return windows.filter(({ window, end, chains: [chain] }) => {
    const stored = storedAt(log.archive, chain.path.segment(end.segment));
    if (stored === undefined || hasHole(log, chain)) return false;
    return Date.parse(window.to) < at.getTime() && at <= stored;
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

function planOf(
  { base, path }: Chain,
  target: RecoveryTarget,
  willRecoverTo: RecoveryPlan["willRecoverTo"],
): RecoveryPlan {
  return {
    backups: [base.manifest],
    target,
    timeline: path.timeline,
    fileName: null,
    willRecoverTo,
  };
}

function gapAfter(
  log: Log,
  chain: Chain | undefined,
  base: Base,
  windows: readonly LogWindow[],
): LifeboatError {
  const { folder, segmentBytes } = log.archive;
  const missing = chain
    ? chain.path.segment(chain.runEnd + 1n)
    : { timeline: base.details.timeline, number: base.firstSegment };
  const name = segmentName(missing.timeline, missing.number, segmentBytes);
  const before = windows.findLast(({ chains }) => chains.some((each) => each.base === base));
  return new LifeboatError({
    code: "WAL_GAP",
    message: `WAL segment ${name} is missing from ${folder.path}/wal, and backup ${base.manifest.id} cannot be recovered past it`,
    remedy: before
      ? `recover to the last instant before it: --at ${before.window.to}; or archive ${name} from the server's pg_wal, if it is still there`
      : `archive ${name} from the server's pg_wal, if it is still there; else restore another backup (lifeboat list)`,
    details: { segment: name, backup: base.manifest.id },
  });
}

function noBackup(folder: DatabaseFolder, timeline?: number): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup in ${folder.path}${timeline === undefined ? "" : ` that reaches timeline ${timeline}`}`,
    remedy:
      timeline === undefined
        ? "take one with lifeboat backup"
        : "lifeboat list shows the timelines",
  });
}

function badLsn(text: string): LifeboatError {
  return new LifeboatError({
    code: "LSN_INVALID",
    kind: "usage",
    message: `"${text}" is not a WAL position`,
    remedy: "write it as the server does: 16/B374D848",
  });
}

function outsideEveryPosition(lsn: Lsn, windows: readonly LogWindow[]): LifeboatError {
  const spans = windows.map(
    ({ chains: [{ base }], end }) => `${base.details.stopLsn} … ${formatLsn(end.lastRecord)}`,
  );
  return new LifeboatError({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
    message: `${formatLsn(lsn)} lies in no recovery window`,
    remedy:
      spans.length === 0 ? "there is no whole backup" : `choose a position in ${spans.join(", ")}`,
    details: { lsn: formatLsn(lsn), spans },
  });
}
