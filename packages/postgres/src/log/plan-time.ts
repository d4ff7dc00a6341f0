import {
  outsideEveryWindow,
  type RecoveryPlan,
  type RecoveryTarget,
  windowHolds,
} from "@lifeboat/core";
import { storedAt } from "../wal/log-archive.ts";
import { formatLsn } from "../wal/lsn.ts";
import { hasHole, type Log, planOf } from "./chains.ts";
import { livingWindow } from "./living.ts";
import { instantOf, type LogWindow } from "./windows.ts";

type TimeTarget = Extract<RecoveryTarget, { kind: "time" }>;

/**
 * A plan for an instant, from the newest backup before it.
 *
 * The server stops at the first transaction past the instant, and fails where none comes. Past the
 * last one the end is named by its place instead: the last record, which is there, and never a later
 * one that is archived in the meantime.
 * @throws LifeboatError `TARGET_OUTSIDE_WINDOWS`
 */
export async function planTime(
  log: Log,
  target: TimeTarget,
  windows: readonly LogWindow[],
): Promise<RecoveryPlan> {
  const { at, exclusive } = target;
  const holders = windows.filter(({ window }) => windowHolds(window, at));
  const found = await livingWindow(
    log,
    holders.length > 0 ? holders : beforeStored(log, windows, at),
  );
  const chain = found?.window.chains.findLast(
    ({ base }) => Date.parse(base.manifest.consistentAt) <= at.getTime(),
  );
  if (!found || !chain) {
    const known = windows.map(({ window }) => window);
    throw outsideEveryWindow(at, known);
  }
  const { last } = found;
  const micros = microsOf(target);
  const stops = last !== undefined && (exclusive ? micros <= last : micros < last);
  if (stops)
    return planOf(chain, target, {
      time: new Date(Math.ceil(micros / 1000)).toISOString(),
      lsn: null,
    });
  const lsn = formatLsn(found.window.end.lastRecord);
  const time = instantOf(last, chain.base.manifest.consistentAt);
  return planOf(chain, { kind: "lsn", lsn, exclusive: false }, { time, lsn });
}

/** In microseconds since 1970, as commits are marked. */
export function microsOf({ at, micros = 0 }: TimeTarget): number {
  return at.getTime() * 1000 + micros;
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
