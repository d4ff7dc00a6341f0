import type { DatabaseFolder } from "@lifeboat/core";
import type { SegmentRef } from "./archived-segment.ts";
import { type LogArchive, readLogArchive, TimelinePath } from "./log-archive.ts";
import type { Lsn } from "./lsn.ts";
import { logName, segmentAt, segmentName, segmentStart } from "./segment-name.ts";
import { listParts, type SegmentPart } from "./segment-part.ts";

/** Where a stream begins. */
export interface ReceiveStart {
  readonly timeline: number;
  /** The first byte of a segment. */
  readonly position: Lsn;
  /** What an earlier run has shipped of that segment, and of those before it that it did not clear away. */
  readonly shipped: { readonly upTo: Lsn; readonly parts: readonly string[] };
  /** What is archived and has to go on in what is streamed: the longest part of that segment, and the whole one before it. */
  readonly archived: { readonly part?: SegmentPart; readonly before?: SegmentRef };
}

export interface StartRequest {
  readonly folder: DatabaseFolder;
  readonly segmentBytes: number;
  /** The server's own; its history is in the repository. */
  readonly timeline: number;
  /** From where the server keeps WAL for our slot. */
  readonly kept: Lsn;
  /** That what lies between the archive's end and `kept` is gone from the server. */
  readonly overHole: boolean;
}

/**
 * Behind the last whole segment that the repository has before what the slot keeps, along the server's timeline; where it has
 * none, at what the slot keeps. Always at the beginning of a segment, which is streamed anew: so a
 * receiver needs no memory of its own. A backup that streamed WAL for itself while nobody received has stored segments
 * of a later time: what is missing before them is still to come, or would be a hole for ever.
 */
export async function receiveStart(request: StartRequest): Promise<ReceiveStart> {
  const { folder, segmentBytes, timeline, kept, overHole } = request;
  const archive = await readLogArchive(folder, segmentBytes);
  const path = new TimelinePath(archive, timeline);
  const keptSegment = segmentAt(kept, segmentBytes);
  const last = overHole ? undefined : lastWholeBefore(archive, path, keptSegment);
  let number = last === undefined ? keptSegment : last + 1n;
  while (isWhole(archive, path, number)) number++;
  const start = await startAt({ folder, segmentBytes }, path.segment(number).timeline, number);
  if (!isWhole(archive, path, number - 1n)) return start;
  return { ...start, archived: { ...start.archived, before: path.segment(number - 1n) } };
}

/** An old primary may have written on after it was left: that is none of this way. */
function lastWholeBefore(
  { segments }: LogArchive,
  path: TimelinePath,
  end: bigint,
): bigint | undefined {
  let last: bigint | undefined;
  for (const [timeline, numbers] of segments)
    for (const number of numbers.keys())
      if (number < end && (last === undefined || number > last))
        if (path.segment(number).timeline === timeline) last = number;
  return last;
}

function isWhole({ segments }: LogArchive, path: TimelinePath, segment: bigint): boolean {
  const { timeline, number } = path.segment(segment);
  return segments.get(timeline)?.has(number) === true;
}

/** At the segment of a position, on a timeline that the server has just entered. */
export async function startOfTimeline(
  place: { readonly folder: DatabaseFolder; readonly segmentBytes: number },
  timeline: number,
  position: Lsn,
): Promise<ReceiveStart> {
  return startAt(place, timeline, segmentAt(position, place.segmentBytes));
}

async function startAt(
  { folder, segmentBytes }: { readonly folder: DatabaseFolder; readonly segmentBytes: number },
  timeline: number,
  number: bigint,
): Promise<ReceiveStart> {
  const position = segmentStart(number, segmentBytes);
  const name = segmentName(timeline, number, segmentBytes);
  const parts: SegmentPart[] = [];
  for (const part of await listParts(folder, name.slice(0, 8)))
    if (await isNeedless(folder, part, name)) parts.push(part);
  const own = parts.findLast(({ segment }) => segment === name);
  return {
    timeline,
    position,
    shipped: {
      upTo: position + BigInt(own?.offset ?? 0),
      parts: parts.map((part) => part.name),
    },
    archived: own ? { part: own } : {},
  };
}

/** Once what is received from here on is stored. A part before a hole is all that there will ever be of its segment. */
async function isNeedless(
  folder: DatabaseFolder,
  { segment }: SegmentPart,
  first: string,
): Promise<boolean> {
  if (segment >= first) return segment === first;
  return (await folder.statLog(logName(segment))) !== undefined;
}
