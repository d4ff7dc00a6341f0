import type { DatabaseFolder, Manifest } from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import type { LogPlace } from "../wal/place.ts";
import type { Part, SegmentNote } from "./note.ts";
import type { Lineages, LogObject } from "./objects.ts";
import { noteOf } from "./objects.ts";

/** A backup whose database's log was being shipped, and what of the log follows it. */
export interface LoggedBackup {
  readonly manifest: Manifest;
  readonly consistentAt: number;
  readonly place: LogPlace;
  /** Of its lineage, by `first`. */
  readonly objects: readonly LogObject[];
  /** The segment in which the backup's state was reached; past the last one where nothing was shipped since. */
  readonly from: number;
}

/**
 * Finds by names alone where a backup lies in its lineage; undefined where it lies in none, or
 * behind a hole.
 */
export function loggedBackup(manifest: Manifest, lineages: Lineages): LoggedBackup | undefined {
  const { log } = detailsOf(manifest);
  if (!log) return undefined;
  const objects = lineages.get(log.lineage) ?? [];
  const consistentAt = Date.parse(manifest.consistentAt);
  const frames = objects.filter(({ kind }) => kind === "frames");
  const later = frames.filter(({ instant }) => instant >= consistentAt);
  // The first to end after it; of those that overlap, the shortest.
  const first = later.reduce<LogObject | undefined>(
    (best, each) => (best && endsBefore(best, each) ? best : each),
    undefined,
  );
  const last = lastOf(frames);
  const from = first?.first ?? last + 1;
  if (from > 1 && !frames.some((each) => each.first < from && each.last >= from - 1))
    return undefined;
  return { manifest, consistentAt, place: log.place, objects, from };
}

/** The number of the last segment; 0 where there is none. */
export function lastOf(objects: readonly LogObject[]): number {
  return objects.reduce((most, { last }) => Math.max(most, last), 0);
}

function endsBefore(a: LogObject, b: LogObject): boolean {
  if (a.last !== b.last) return a.last < b.last;
  return a.first >= b.first;
}

/** A backup's exact place: behind so many frames of one object. */
export interface Located {
  readonly object: LogObject;
  readonly note: SegmentNote;
  readonly frames: number;
}

/**
 * Finds the object that a backup's place lies in, by the notes of those around it: the clock that
 * names have tells it only to one poll. One that is later by the clock than all of the log lies at its end, or the clock
 * was set back since, and it lies anywhere.
 * @param anywhere look in all of them
 * @returns undefined where it lies in none of them
 */
export async function locate(
  folder: DatabaseFolder,
  { objects, from, place }: LoggedBackup,
  anywhere: boolean = objects.every(({ last }) => last < from),
): Promise<Located | undefined> {
  const frames = objects.filter(({ kind }) => kind === "frames");
  const around = [from, from - 1, from + 1].flatMap((number) => smallestWith(frames, number) ?? []);
  for (const object of new Set([...around, ...(anywhere ? frames.toReversed() : [])])) {
    const note = await noteOf(folder, object);
    const at = framesUpTo(note, place);
    if (at !== undefined) return { object, note, frames: at };
  }
  return undefined;
}

function smallestWith(objects: readonly LogObject[], number: number): LogObject | undefined {
  const holding = objects.filter(({ first, last }) => first <= number && number <= last);
  return holding.sort((a, b) => a.last - a.first - (b.last - b.first))[0];
}

/** How many frames of an object lie before a place; undefined where it is not in it. */
export function framesUpTo(note: SegmentNote, place: LogPlace): number | undefined {
  const total = (note.marks.at(-1) ?? note.marks[0])[1];
  const { start, end, parts } = note;
  const starts = (parts ?? [[0, start.salt1, start.salt2, start.frames] as const]).map(boundOf);
  const bounds = [...starts, boundOf([total, end.salt1, end.salt2, end.frames])];
  for (const [index, before] of bounds.slice(0, -1).entries()) {
    const after = bounds[index + 1] as Bound;
    const found = between(before, after, place);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Bound {
  readonly at: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly frames: number;
}

function boundOf([at, salt1, salt2, frames]: Part): Bound {
  return { at, salt1, salt2, frames };
}

/** The WAL may have been begun anew between the two, so a place is counted from the one that is of its run. */
function between(before: Bound, after: Bound, place: LogPlace): number | undefined {
  const isOfRun = ({ salt1, salt2 }: Bound) => place.salt1 === salt1 && place.salt2 === salt2;
  for (const bound of [before, after]) {
    const at = bound.at + place.frames - bound.frames;
    if (isOfRun(bound) && before.at <= at && at <= after.at) return at;
  }
  return undefined;
}
