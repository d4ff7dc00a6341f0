import type { DatabaseFolder, Manifest, RecoveryPlan, RecoveryTarget } from "@lifeboat/core";
import { type PostgresDetails, postgresDetails } from "../details.ts";
import {
  type LogArchive,
  newestSegment,
  readLogArchive,
  storedAt,
  TimelinePath,
  walTimelines,
} from "../wal/log-archive.ts";
import { type Lsn, lsnOf } from "../wal/lsn.ts";
import { segmentAt, segmentBefore } from "../wal/segment-name.ts";

/** A backup with what is read from its details. */
export interface Base {
  readonly manifest: Manifest;
  readonly details: PostgresDetails;
  readonly stop: Lsn;
  /** The segments that it needs itself. */
  readonly firstSegment: bigint;
  readonly lastSegment: bigint;
}

/** A backup, a timeline that it can be recovered along, and how far the WAL reaches without a hole. */
export interface Chain {
  readonly base: Base;
  readonly path: TimelinePath;
  /** The last segment before the first hole; below `base.firstSegment` when even that is missing. */
  readonly runEnd: bigint;
}

export interface Log {
  readonly archive: LogArchive;
  /** Ascending by id. */
  readonly bases: readonly Base[];
  /** Every backup along every timeline it reaches; whole ones only, oldest backup first. */
  readonly chains: readonly Chain[];
}

/** Sizes of segments do not change in a cluster's life, so the newest backup's serves all. */
export async function readLog(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<Log | undefined> {
  const bases = backups.map(baseOf);
  const segmentBytes = bases.at(-1)?.details.walSegmentBytes;
  if (segmentBytes === undefined) return undefined;
  const archive = await readLogArchive(folder, segmentBytes);
  const chains = timelinesOf(archive, bases).flatMap((timeline) => {
    const path = new TimelinePath(archive, timeline);
    return bases.flatMap((base) => chainOf(archive, path, base) ?? []);
  });
  return { archive, bases, chains: chains.filter(isWhole) };
}

export function baseOf(manifest: Manifest): Base {
  const details = postgresDetails(manifest);
  const stop = lsnOf(details.stopLsn);
  return {
    manifest,
    details,
    stop,
    firstSegment: segmentAt(lsnOf(details.startLsn), details.walSegmentBytes),
    lastSegment: segmentBefore(stop, details.walSegmentBytes),
  };
}

/** A chain along a timeline; undefined when the backup does not lie on the way to it. */
export function chainOf(archive: LogArchive, path: TimelinePath, base: Base): Chain | undefined {
  if (!path.passes(base.details.timeline, base.stop)) return undefined;
  let next = base.firstSegment;
  while (storedAt(archive, path.segment(next))) next++;
  return { base, path, runEnd: next - 1n };
}

/** Whether the WAL that makes the backup consistent is all there. */
export function isWhole({ base, runEnd }: Chain): boolean {
  return runEnd >= base.lastSegment;
}

/** All timelines that anything lies on, ascending. */
export function timelinesOf(archive: LogArchive, bases: readonly Base[]): number[] {
  const timelines = walTimelines(archive);
  for (const { details } of bases) timelines.add(details.timeline);
  return [...timelines].sort((a, b) => a - b);
}

/** Whether segments lie behind the hole at which a chain's run ends. */
export function hasHole({ archive }: Log, { path, runEnd }: Chain): boolean {
  return (newestSegment(archive, path.timeline) ?? runEnd) > runEnd;
}

export function planOf(
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
