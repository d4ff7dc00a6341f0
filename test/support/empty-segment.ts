/** Whose segment it is, and what its first page says of sizes. */
export interface EmptySegment {
  readonly system: bigint;
  /** Its place among all of the server's WAL, from 0. */
  readonly number: bigint;
  readonly segmentBytes?: number;
  readonly pageBytes?: number;
}

/** A WAL segment of 1 MiB on timeline 1 that holds no record: nothing but the head of its first page (`XLogLongPageHeaderData`). */
export function emptySegment({
  system,
  number,
  segmentBytes = 1 << 20,
  pageBytes = 8192,
}: EmptySegment): Buffer {
  const bytes = Buffer.alloc(1 << 20);
  bytes.writeUInt16LE(0xd110, 0);
  bytes.writeUInt16LE(2, 2);
  bytes.writeUInt32LE(1, 4);
  bytes.writeBigUInt64LE(number << 20n, 8);
  bytes.writeBigUInt64LE(system, 24);
  bytes.writeUInt32LE(segmentBytes, 32);
  bytes.writeUInt32LE(pageBytes, 36);
  return bytes;
}
