import { LifeboatError } from "@lifeboat/core";
import { formatLsn } from "./lsn.ts";
import { readPageHeader, type SegmentIdentity } from "./page.ts";
import {
  LARGEST_SEGMENT,
  SMALLEST_SEGMENT,
  segmentNumber,
  segmentStart,
  type WalFile,
} from "./segment-name.ts";

/** The first page's header, which says whose segment it is, lies in its first bytes. */
export const IDENTITY_BYTES = 40;

/** `--with-wal-blocksize` of the server's build, 8 KiB unless somebody chose otherwise. */
const SMALLEST_PAGE = 1 << 10;
const LARGEST_PAGE = 64 << 10;

/**
 * Reads whose segment this is from its first bytes, and proves that its name is true: place and
 * timeline.
 * @param what names the file or object in messages
 * @throws LifeboatError `WAL_INVALID` when these bytes do not begin the segment that the name says
 */
export function segmentIdentity(
  start: Buffer,
  file: Extract<WalFile, { high: number }>,
  what: string,
): SegmentIdentity {
  const header = readPageHeader(start);
  if (!header?.segment) throw invalid(what, "does not begin like a WAL segment");
  const { segmentBytes, pageBytes } = header.segment;
  // Both are reckoned with before the content is proved: a size of the writer's choice fills our memory.
  if (!isPowerOfTwo(segmentBytes, SMALLEST_SEGMENT, LARGEST_SEGMENT))
    throw invalid(what, `says that segments have ${segmentBytes} bytes, which no server's have`);
  if (!isPowerOfTwo(pageBytes, SMALLEST_PAGE, LARGEST_PAGE))
    throw invalid(what, `says that WAL pages have ${pageBytes} bytes, which no server's have`);
  const number = segmentNumber(file, segmentBytes);
  if (number === undefined || segmentStart(number, segmentBytes) !== header.address)
    throw invalid(
      what,
      `holds the WAL from ${formatLsn(header.address)}, which is not what its name says`,
    );
  // The first segment of a timeline begins with a copy of the one it left, whose pages keep its number.
  if (header.timeline > file.timeline)
    throw invalid(what, `belongs to timeline ${header.timeline}, which is not what its name says`);
  return header.segment;
}

/** @throws LifeboatError `WAL_FOREIGN` when the segment comes from another cluster */
export function assertOwnSegment(
  identity: SegmentIdentity,
  systemIdentifier: string,
  what: string,
): void {
  if (identity.systemIdentifier === systemIdentifier) return;
  throw new LifeboatError({
    code: "WAL_FOREIGN",
    kind: "refused",
    message: `${what} comes from the cluster ${identity.systemIdentifier}, not from ${systemIdentifier}`,
    remedy: "give each cluster its own archive_command, run in its own data directory",
    details: { found: identity.systemIdentifier, expected: systemIdentifier },
  });
}

/** @throws LifeboatError `WAL_INVALID` */
export function assertSegmentSize(bytes: number, identity: SegmentIdentity, what: string): void {
  if (bytes !== identity.segmentBytes)
    throw invalid(
      what,
      `has ${bytes} bytes; a segment of its cluster has ${identity.segmentBytes}`,
    );
}

function isPowerOfTwo(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && (value & (value - 1)) === 0;
}

function invalid(what: string, why: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_INVALID",
    kind: "refused",
    message: `${what} ${why}`,
    remedy:
      "archive only what the server hands to archive_command; take a new backup if the server made this file",
    details: { file: what },
  });
}
