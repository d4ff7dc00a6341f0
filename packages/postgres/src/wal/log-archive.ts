import { type DatabaseFolder, isObjectDamage, type LifeboatError } from "@lifeboat/core";
import type { SegmentRef } from "./archived-segment.ts";
import type { Lsn } from "./lsn.ts";
import { readSmallLog } from "./read-small-log.ts";
import {
  historyName,
  logName,
  parseWalFileName,
  segmentAt,
  segmentNumber,
} from "./segment-name.ts";
import { parsePartName } from "./segment-part.ts";
import { parseTimelineHistory, type TimelineStep } from "./timeline-history.ts";

/** The WAL of a repository, by what lies there; nothing of it has been read but the histories. */
export interface LogArchive {
  readonly folder: DatabaseFolder;
  readonly segmentBytes: number;
  /** Whole segments by timeline: their numbers, and when each was stored. */
  readonly segments: ReadonlyMap<number, ReadonlyMap<bigint, Date>>;
  /** By timeline what a receiver has of the segment under way, where no whole one lies at or past it. */
  readonly parts: ReadonlyMap<number, GrowingSegment>;
  /** Where each timeline comes from, oldest parent first. */
  readonly histories: ReadonlyMap<number, readonly TimelineStep[]>;
}

export interface GrowingSegment {
  readonly number: bigint;
  readonly offset: number;
  readonly storedAt: Date;
  readonly name: string;
}

export async function readLogArchive(
  folder: DatabaseFolder,
  segmentBytes: number,
): Promise<LogArchive> {
  const segments = new Map<number, Map<bigint, Date>>();
  const histories = new Map<number, readonly TimelineStep[]>();
  const parts = new Map<number, GrowingSegment>();
  for await (const { name, stored } of folder.listLog()) {
    const base = name.slice(name.indexOf("/") + 1);
    const file = parseWalFileName(base);
    if (file?.kind === "history") {
      const steps = await readHistory(folder, file.timeline);
      if (steps) histories.set(file.timeline, steps);
    } else if (file?.kind === "segment") {
      const number = segmentNumber(file, segmentBytes);
      const own = segments.get(file.timeline) ?? new Map<bigint, Date>();
      if (number !== undefined) segments.set(file.timeline, own.set(number, stored.storedAt));
    } else {
      // They are listed in order: the longest of the last segment stays.
      const part = growingSegment(base, segmentBytes);
      if (part) parts.set(part.timeline, { ...part, name, storedAt: stored.storedAt });
    }
  }
  for (const [timeline, { number }] of parts)
    if ([...(segments.get(timeline)?.keys() ?? [])].some((whole) => whole >= number))
      parts.delete(timeline);
  return { folder, segmentBytes, segments, parts, histories };
}

function growingSegment(name: string, segmentBytes: number) {
  const part = parsePartName(name);
  const file = part && parseWalFileName(part.segment);
  if (!part || file?.kind !== "segment") return undefined;
  const number = segmentNumber(file, segmentBytes);
  const { timeline } = file;
  return number === undefined ? undefined : { offset: part.offset, number, timeline };
}

/** A history that is damaged cannot be followed by a server either; `verify` names it. */
async function readHistory(
  folder: DatabaseFolder,
  timeline: number,
): Promise<TimelineStep[] | undefined> {
  const name = historyName(timeline);
  try {
    const content = Buffer.concat(await Array.fromAsync(readSmallLog(folder, name)));
    return parseTimelineHistory(content.toString(), timeline, folder.logPath(logName(name)));
  } catch (thrown) {
    if (isSegmentDamage(thrown)) return undefined;
    throw thrown;
  }
}

/** Whether an error says that an object itself is at fault, and not the way to it. */
export function isSegmentDamage(thrown: unknown): thrown is LifeboatError {
  return isObjectDamage(thrown, "WAL_INVALID", "WAL_FOREIGN");
}

/** The way that replay takes to a timeline: through its ancestors, each up to where the next left it. */
export class TimelinePath {
  readonly timeline: number;
  readonly #steps: readonly TimelineStep[];
  readonly #segmentBytes: number;

  constructor(archive: LogArchive, timeline: number) {
    this.timeline = timeline;
    this.#steps = archive.histories.get(timeline) ?? [];
    this.#segmentBytes = archive.segmentBytes;
  }

  /** Whether a state reached at `lsn` on `timeline` lies on this way. */
  passes(timeline: number, lsn: Lsn): boolean {
    if (timeline === this.timeline) return true;
    const step = this.#steps.find((each) => each.timeline === timeline);
    return step !== undefined && lsn <= step.switchPoint;
  }

  /** The segment with this number. The one in which a timeline was left is read from the newer one, which holds both. */
  segment(number: bigint): SegmentRef {
    const step = this.#steps.find(
      ({ switchPoint }) => number < segmentAt(switchPoint, this.#segmentBytes),
    );
    return { timeline: step?.timeline ?? this.timeline, number };
  }
}

/** When a segment, or what there is of the one under way, was stored; undefined if it is not there. */
export function storedAt(archive: LogArchive, { timeline, number }: SegmentRef): Date | undefined {
  const part = archive.parts.get(timeline);
  if (part?.number === number) return part.storedAt;
  return archive.segments.get(timeline)?.get(number);
}

/** The timelines of which there is any WAL. */
export function walTimelines({ segments, parts }: LogArchive): Set<number> {
  return new Set([...segments.keys(), ...parts.keys()]);
}

/** The newest segment of a timeline, the one under way included; undefined when it has none. */
export function newestSegment(archive: LogArchive, timeline: number): bigint | undefined {
  return archive.parts.get(timeline)?.number ?? newestWhole(archive, timeline);
}

/** The newest whole segment of a timeline; undefined when it has none. */
export function newestWhole(archive: LogArchive, timeline: number): bigint | undefined {
  let newest: bigint | undefined;
  for (const number of archive.segments.get(timeline)?.keys() ?? [])
    if (newest === undefined || number > newest) newest = number;
  return newest;
}
