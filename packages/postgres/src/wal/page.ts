import type { Lsn } from "./lsn.ts";

/**
 * The head of a WAL page (`XLogPageHeaderData` in the server's `access/xlog_internal.h`). The first
 * page of a segment has a longer one, which says whose it is. Little-endian, as on all machines
 * that Lifeboat's Node runs on.
 */
export interface PageHeader {
  readonly magic: number;
  readonly timeline: number;
  /** The position of the page's first byte. */
  readonly address: Lsn;
  /** Bytes of a record from before that go on here; 0 when a record begins the page. */
  readonly continued: number;
  /** The record before was given up by a crash and is not continued (`XLP_FIRST_IS_OVERWRITE_CONTRECORD`). */
  readonly overwrites: boolean;
  /** Bytes of the head itself. */
  readonly length: number;
  /** On a segment's first page only. */
  readonly segment: SegmentIdentity | null;
}

/** Whose segment this is. */
export interface SegmentIdentity {
  /** Decimal text. */
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly pageBytes: number;
}

const SHORT_HEADER = 24;
const LONG_HEADER = 40;
const FIRST_IS_CONTRECORD = 0x1;
const LONG = 0x2;
const FIRST_IS_OVERWRITE = 0x8;
const ALL_FLAGS = 0xf;

/** `XLOG_PAGE_MAGIC` of 15 is 0xD110; each major version counts on. */
const OLDEST_MAGIC = 0xd110;
const NEWEST_MAGIC = 0xd1ff;

/**
 * Reads a page's head.
 * @returns undefined when these bytes do not begin a WAL page of a supported version
 */
export function readPageHeader(page: Buffer): PageHeader | undefined {
  if (page.length < LONG_HEADER) return undefined;
  const magic = page.readUInt16LE(0);
  const flags = page.readUInt16LE(2);
  if (magic < OLDEST_MAGIC || magic > NEWEST_MAGIC || (flags & ~ALL_FLAGS) !== 0) return undefined;
  const long = (flags & LONG) !== 0;
  return {
    magic,
    timeline: page.readUInt32LE(4),
    address: page.readBigUInt64LE(8),
    continued: (flags & FIRST_IS_CONTRECORD) !== 0 ? page.readUInt32LE(16) : 0,
    overwrites: (flags & FIRST_IS_OVERWRITE) !== 0,
    length: long ? LONG_HEADER : SHORT_HEADER,
    segment: long ? readIdentity(page) : null,
  };
}

function readIdentity(page: Buffer): SegmentIdentity {
  return {
    systemIdentifier: page.readBigUInt64LE(24).toString(),
    segmentBytes: page.readUInt32LE(32),
    pageBytes: page.readUInt32LE(36),
  };
}
