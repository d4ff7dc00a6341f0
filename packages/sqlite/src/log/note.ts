import { LifeboatError, type LogNote } from "@lifeboat/core";
import { isPageCount, isPageSize } from "../bounds.ts";
import { isLogPlace, type LogPlace } from "../wal/place.ts";
import { parseLogName } from "./name.ts";

/** One look at the live WAL that found commits: `[instant in ms, frames of this content, pages of the database]`. */
export type Mark = readonly [instant: number, frames: number, pages: number];

/**
 * So many marks an object gets at most, a quarter of an hour of commits without a pause: a note is read whole, and one of
 * more than 16 MiB by nobody. While a repository is away, or the clock behind, there would be no end of them.
 */
export const MOST_MARKS: number = 1 << 14;

/** Where a part of a merged object begins: `[its first frame in this content, salt1, salt2, frames]` of the source. */
export type Part = readonly [at: number, salt1: number, salt2: number, frames: number];

/** What an object of the log says of itself (.github/decisions/0012-the-log-of-sqlite.md). */
export interface SegmentNote {
  readonly format: 1;
  readonly lineage: string;
  readonly first: number;
  readonly last: number;
  readonly pageSize: number;
  readonly start: LogPlace;
  readonly end: LogPlace;
  /** Hexadecimal SHA-256 each. */
  readonly chain: { readonly before: string; readonly after: string };
  /** Ascending; the last is the end of the content. One that holds pages has the last alone. */
  readonly marks: readonly [Mark, ...Mark[]];
  /** Of a merged object with all its frames: the segments in it. */
  readonly parts?: readonly Part[];
}

/**
 * The note of a log object, every member checked: an archive may be hostile, or an object lie in
 * another's place.
 * @param name as it is listed
 * @param object to name in errors
 * @throws LifeboatError `LOG_OBJECT_INVALID`
 */
export function checkedNote(raw: LogNote | undefined, name: string, object: string): SegmentNote {
  if (!raw) throw wrongLogObject(object, "carries no note");
  const note = raw as unknown as SegmentNote;
  const own = parseLogName(name);
  if (raw.format !== 1) throw wrongLogObject(object, `has a note of format ${raw.format}`);
  for (const member of ["lineage", "first", "last"] as const)
    if (!own || raw[member] !== own[member])
      throw wrongLogObject(
        object,
        `says of itself that it is ${raw[member]} (${member}): it was put in another's place`,
      );
  if (!isPageSize(raw.pageSize)) throw wrongLogObject(object, "has no page size in its note");
  if (!isLogPlace(raw.start) || !isLogPlace(raw.end))
    throw wrongLogObject(object, "has no place in the source's WAL in its note");
  if (!isChain(raw.chain)) throw wrongLogObject(object, "has no chain in its note");
  if (!areMarks(raw.marks)) throw wrongLogObject(object, "has no marks in its note, or wrong ones");
  if (note.marks.at(-1)?.[0] !== own?.instant)
    throw wrongLogObject(object, "ends at another instant than its name says");
  if (raw.parts !== undefined && !areParts(raw.parts))
    throw wrongLogObject(object, "has wrong parts");
  return note;
}

/** How many bytes the WAL has that a note goes with. */
export function bytesOfWal({ marks, pageSize }: SegmentNote): number {
  const [, frames] = marks.at(-1) ?? marks[0];
  return 32 + frames * (24 + pageSize);
}

function isChain(value: unknown): boolean {
  const { before, after } = (value ?? {}) as Record<string, unknown>;
  return [before, after].every((hex) => typeof hex === "string" && /^[0-9a-f]{64}$/.test(hex));
}

function areMarks(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  let [instant, frames] = [0, 0];
  return value.every((mark: unknown) => {
    if (!isCounts(mark, 3)) return false;
    const [at, behind, pages] = mark as unknown as Mark;
    // A WAL counts its frames in 32 bits.
    const rises = at >= instant && behind > frames && behind < 2 ** 32 && isPageCount(pages);
    [instant, frames] = [at, behind];
    return rises;
  });
}

function areParts(value: unknown): boolean {
  let at = -1;
  return (
    Array.isArray(value) &&
    value.every((part: unknown) => {
      if (!isCounts(part, 4)) return false;
      const rises = (part[0] as number) > at;
      at = part[0] as number;
      return rises;
    })
  );
}

function isCounts(value: unknown, length: number): value is number[] {
  return (
    Array.isArray(value) &&
    value.length === length &&
    value.every((each) => Number.isSafeInteger(each) && each >= 0)
  );
}

/** An object of the log that is not what it should be. */
export function wrongLogObject(object: string, what: string): LifeboatError {
  return new LifeboatError({
    code: "LOG_OBJECT_INVALID",
    message: `${object} ${what}`,
    remedy:
      "it was not written by Lifeboat, or lies in another's place: bring the right one back from a copy of the repository, or choose another target (lifeboat list)",
    details: { object },
  });
}
