import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import type { Base, Chain, Log } from "./log-chains.ts";
import type { LogWindow } from "./log-windows.ts";
import { formatLsn, type Lsn } from "./wal/lsn.ts";
import { segmentName } from "./wal/segment-name.ts";

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

export function noSuchBackup(id: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_NOT_FOUND",
    kind: "not-found",
    message: `there is no backup ${id}`,
    remedy: "lifeboat list shows those there are",
    details: { id },
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
