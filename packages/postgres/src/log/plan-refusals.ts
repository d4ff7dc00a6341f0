import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import { formatLsn, type Lsn } from "../wal/lsn.ts";
import { segmentName } from "../wal/segment-name.ts";
import type { Base, Chain, Log } from "./chains.ts";
import type { LogWindow } from "./windows.ts";

/** A backup that WAL is missing for, or behind. */
export function gapAfter(
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

export function noBackup(folder: DatabaseFolder, timeline?: number): LifeboatError {
  const reach = timeline === undefined ? "" : ` that reaches timeline ${timeline}`;
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup in ${folder.path}${reach}`,
    remedy: reach ? "lifeboat list shows the timelines" : "take one with lifeboat backup",
  });
}

export function badLsn(text: string): LifeboatError {
  return new LifeboatError({
    code: "LSN_INVALID",
    kind: "usage",
    message: `"${text}" is not a WAL position`,
    remedy: "write it as the server does: 16/B374D848",
  });
}

export function outsideEveryPosition(lsn: Lsn, windows: readonly LogWindow[]): LifeboatError {
  return new LifeboatError({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
    message: `${formatLsn(lsn)} lies in no recovery window${reachOf(windows)}`,
    remedy: boundsOf(windows),
    details: { lsn: formatLsn(lsn), spans: windows.map(spanOf) },
  });
}

/** The outermost bounds, in brackets; nothing where there are none. Between several windows there are gaps. */
export function reachOf(windows: readonly LogWindow[]): string {
  const starts = windows.map(({ chains: [{ base }] }) => base.stop);
  const ends = windows.map(({ end }) => end.position);
  if (starts.length === 0) return "";
  const [from, to] = [starts.reduce(least), ends.reduce(greatest)];
  return windows.length === 1
    ? ` (it reaches from ${formatLsn(from)} to ${formatLsn(to)})`
    : ` (the oldest begins at ${formatLsn(from)}, the newest ends at ${formatLsn(to)})`;
}

function least(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b;
}

function greatest(a: Lsn, b: Lsn): Lsn {
  return a < b ? b : a;
}

/** So many are read at a glance; `list` shows all. */
const SHOWN_WINDOWS = 3;

/** What can be had instead: the newest windows, each by its bounds in time and in the WAL. */
export function boundsOf(windows: readonly LogWindow[]): string {
  if (windows.length === 0) return "no whole backup leads there; see lifeboat list";
  const shown = windows.slice(-SHOWN_WINDOWS).map(({ window, ...each }) => {
    const { timeline, from, to } = window;
    return `${spanOf({ window, ...each })} (${from} … ${to}, timeline ${timeline})`;
  });
  const more = windows.length > SHOWN_WINDOWS ? " (the newest ones)" : "";
  return `choose a target in ${shown.join(", ")}${more}`;
}

function spanOf({ chains: [{ base }], end }: LogWindow): string {
  return `${base.details.stopLsn} … ${formatLsn(end.position)}`;
}

/** The state of a backup is reached on the backup's own timeline: there is nothing to choose. */
export function timelineOfBackup(id: string, own: number): LifeboatError {
  return new LifeboatError({
    code: "USAGE",
    kind: "usage",
    message: `backup ${id} lies on timeline ${own}, and its state on no other`,
    remedy: "leave --timeline out",
  });
}
