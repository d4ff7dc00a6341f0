import { scanSegments, type WalScan } from "../wal/archived-segment.ts";
import { isSegmentDamage, type LogArchive, type TimelinePath } from "../wal/log-archive.ts";
import type { Lsn } from "../wal/lsn.ts";
import type { WalMark } from "../wal/mark.ts";
import { segmentAt } from "../wal/segment-name.ts";

/** How far replay gets at the end of a run of segments. */
export interface LogEnd {
  /** The number of the last segment that can be replayed. */
  readonly segment: bigint;
  /** Where the last whole record begins. */
  readonly lastRecord: Lsn;
  /** Where it ends: the server's own position, when no more had been written. */
  readonly position: Lsn;
  /** The latest instant that any record of the last segments tells, in microseconds since 1970. */
  readonly evidence: number | undefined;
}

/**
 * Reads the end of a run: only the last segment, and those before it while it tells of no transaction: a checkpoint tells the
 * second in which it began, maybe minutes before it was written, and those that ended since lie before it. A segment
 * that is damaged ends the run before itself, as it would end a recovery.
 * @param first the run's first segment; nothing before it is read
 */
export async function readLogEnd(
  archive: LogArchive,
  path: TimelinePath,
  first: bigint,
  last: bigint,
): Promise<LogEnd | undefined> {
  let segment = last;
  let found: Pick<LogEnd, "lastRecord" | "position"> | undefined;
  let marks: WalMark[] = [];
  for (let number = last; number >= first && !isToldBy(marks, number, archive); number--) {
    const scan = await scan1(archive, path, number, segment);
    if (!scan) {
      segment = number - 1n;
      found = undefined;
      marks = [];
      continue;
    }
    const { lastRecord, lastEnd } = scan;
    if (lastRecord !== undefined && lastEnd !== undefined)
      found ??= { lastRecord, position: lastEnd };
    marks = [...scan.marks, ...marks];
  }
  return found && { segment, ...found, evidence: latest(marks, () => true) };
}

/**
 * Whether no segment up to this one can tell a later instant than what was read behind it: where that tells of a transaction, or a
 * checkpoint began well behind it. One segment more is read for what ended in the second of which a checkpoint tells.
 */
function isToldBy(
  marks: readonly WalMark[],
  number: bigint,
  { segmentBytes }: LogArchive,
): boolean {
  if (marks.some(({ kind }) => ["commit", "abort", "restore-point"].includes(kind))) return true;
  const checkpoint = marks.findLast((mark) => mark.kind === "checkpoint");
  return checkpoint !== undefined && number + 1n < segmentAt(checkpoint.redo, segmentBytes);
}

/**
 * The time of the last commit or abort of a run, in microseconds since 1970: past it, a server finds
 * nothing that tells it to stop. Reads backwards until it has one.
 * @param before only what begins in front of this position
 */
export async function lastTransaction(
  archive: LogArchive,
  path: TimelinePath,
  first: bigint,
  last: bigint,
  before?: Lsn,
): Promise<number | undefined> {
  const isOne = ({ kind, lsn }: WalMark) =>
    (kind === "commit" || kind === "abort") && (before === undefined || lsn < before);
  for (let number = last; number >= first; number--) {
    const scan = await scan1(archive, path, number, last);
    const found = scan && latest(scan.marks, isOne);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The records that begin in one segment; the one that leaves it is followed into the next. */
async function scan1(
  archive: LogArchive,
  path: TimelinePath,
  number: bigint,
  last: bigint,
): Promise<WalScan | undefined> {
  const { folder, segmentBytes } = archive;
  const more = number < last ? [path.segment(number + 1n)] : [];
  try {
    return await scanSegments(folder, [path.segment(number), ...more], segmentBytes);
  } catch (thrown) {
    if (isSegmentDamage(thrown)) return undefined;
    throw thrown;
  }
}

function latest(marks: readonly WalMark[], counts: (mark: WalMark) => boolean): number | undefined {
  let micros: number | undefined;
  for (const mark of marks)
    if ("micros" in mark && counts(mark)) micros = Math.max(micros ?? 0, mark.micros);
  return micros;
}
