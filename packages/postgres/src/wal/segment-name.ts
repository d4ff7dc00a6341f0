import type { Lsn } from "./lsn.ts";

/** A WAL file of the archive, by what its name says. */
export type WalFile =
  | {
      readonly kind: "segment";
      readonly timeline: number;
      readonly high: number;
      readonly low: number;
    }
  | {
      readonly kind: "partial";
      readonly timeline: number;
      readonly high: number;
      readonly low: number;
    }
  | { readonly kind: "backup-label"; readonly timeline: number }
  | { readonly kind: "history"; readonly timeline: number };

/**
 * Reads the name of a WAL file as the server writes them (`XLogFileName` and its siblings): eight
 * hexadecimal digits of timeline, then two times eight that number the segment.
 * @returns undefined when the name is none of them
 */
export function parseWalFileName(name: string): WalFile | undefined {
  const match =
    /^([0-9A-F]{8})(?:(\.history)|([0-9A-F]{8})([0-9A-F]{8})(\.partial|\.[0-9A-F]{8}\.backup)?)$/.exec(
      name,
    );
  if (!match?.[1]) return undefined;
  const timeline = Number.parseInt(match[1], 16);
  if (match[2]) return { kind: "history", timeline };
  const ending = match[5];
  if (ending?.endsWith(".backup")) return { kind: "backup-label", timeline };
  const high = Number.parseInt(match[3] ?? "", 16);
  const low = Number.parseInt(match[4] ?? "", 16);
  return { kind: ending === ".partial" ? "partial" : "segment", timeline, high, low };
}

/** The bounds of `--wal-segsize`, between which it is a power of two (`IsValidWalSegSize` of the server). */
export const SMALLEST_SEGMENT = 1 << 20;
export const LARGEST_SEGMENT = 1 << 30;

/** Far above what a server writes into a timeline's history or a backup's label. A larger one is an attack on our memory. */
export const LARGEST_SMALL_FILE = 1 << 20;

/** How many bytes a file of this kind can have. */
export function mostBytesOf({ kind }: WalFile): number {
  return kind === "segment" || kind === "partial" ? LARGEST_SEGMENT : LARGEST_SMALL_FILE;
}

/** The number of the segment that holds the byte at `lsn`, counted from the WAL's beginning. */
export function segmentAt(lsn: Lsn, segmentBytes: number): bigint {
  return lsn / BigInt(segmentBytes);
}

/**
 * The number of the last segment that replay up to `end` needs. A position on a boundary belongs to
 * the segment before: nothing of the next one has been written.
 */
export function segmentBefore(end: Lsn, segmentBytes: number): bigint {
  return (end - 1n) / BigInt(segmentBytes);
}

/** The position of a segment's first byte. */
export function segmentStart(segment: bigint, segmentBytes: number): Lsn {
  return segment * BigInt(segmentBytes);
}

/** The file name of a segment: `000000010000000000000003`. */
export function segmentName(timeline: number, segment: bigint, segmentBytes: number): string {
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  return `${hex8(timeline)}${hex8(segment / perHigh)}${hex8(segment % perHigh)}`;
}

/** The number of the segment with this file name; undefined when no segment of this size has it. */
export function segmentNumber(
  file: Extract<WalFile, { high: number }>,
  segmentBytes: number,
): bigint | undefined {
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  const low = BigInt(file.low);
  return low < perHigh ? BigInt(file.high) * perHigh + low : undefined;
}

export function historyName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** Where a WAL file lies below a repository's `wal/`: one folder a timeline. */
export function logName(file: string): string {
  return `${file.slice(0, 8)}/${file}`;
}

function hex8(value: number | bigint): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}
