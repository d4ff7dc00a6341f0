import type { SegmentRef } from "../wal/archived-segment.ts";
import { type LogArchive, storedAt, type TimelinePath } from "../wal/log-archive.ts";
import type { Base } from "./chains.ts";

/** Of the segments missing behind one backup so many are named, and one more that says that there the list ends. */
export const MOST_MISSING = 1000;

export interface MissingSegment extends SegmentRef {
  /** No more were looked for behind it. */
  readonly endsList: boolean;
  /** The backup had it when it ended: nobody still brings it. */
  readonly ofBackup: boolean;
}

/**
 * The segments that are missing behind a backup, up to the last one that an archive brought, on the way to a timeline. What a backup
 * streams for itself tells of no archive, finished or still under way: between two of those, and before an archive begins, it
 * is no hole that WAL is not there, since no recovery was promised across it.
 * @param bases all of the database, this one among them
 */
export function* missingSegments(
  archive: LogArchive,
  path: TimelinePath,
  { base, bases }: { readonly base: Base; readonly bases: readonly Base[] },
): Generator<MissingSegment> {
  const streamed = bases.filter(({ details }) => details.wal === "stream").map(spanOf);
  const newest = newestArchived(archive, path.timeline, streamed) ?? base.lastSegment;
  let hasBegun = base.details.wal === "archive";
  let named = 0;
  for (let number = base.firstSegment; number <= newest || number <= base.lastSegment; number++) {
    const ref = path.segment(number);
    const stored = storedAt(archive, ref);
    if (stored) {
      hasBegun ||= isArchived(stored, streamed);
      continue;
    }
    if (number > base.lastSegment && !hasBegun) return;
    // One stray segment with a great number would make a hole of billions.
    const endsList = named++ === MOST_MISSING;
    yield { ...ref, endsList, ofBackup: number <= base.lastSegment };
    if (endsList) return;
  }
}

/** While a backup was taken, in milliseconds since 1970. */
interface Span {
  readonly from: number;
  readonly to: number;
}

function spanOf({ manifest }: Base): Span {
  return { from: Date.parse(manifest.startedAt), to: Date.parse(manifest.finishedAt) };
}

function isArchived(stored: Date, streamed: readonly Span[]): boolean {
  const at = stored.getTime();
  return !streamed.some(({ from, to }) => at >= from && at <= to);
}

function newestArchived(
  archive: LogArchive,
  timeline: number,
  streamed: readonly Span[],
): bigint | undefined {
  const part = archive.parts.get(timeline);
  if (part) return part.number;
  let newest: bigint | undefined;
  for (const [number, at] of archive.segments.get(timeline) ?? [])
    if ((newest === undefined || number > newest) && isArchived(at, streamed)) newest = number;
  return newest;
}
