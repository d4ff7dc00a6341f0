/** What the first 100 bytes of a database file say (sqlite.org/fileformat2.html, 1.3). */
export interface DatabaseHeader {
  readonly pageSize: number;
  /** Whether the file is in WAL mode (read and write version 2). */
  readonly wal: boolean;
  /** Pages in the file; null when the header's count is not valid for its last change. */
  readonly pageCount: number | null;
  readonly userVersion: number;
  readonly applicationId: number;
  /** Version number of the SQLite that last changed the file, such as 3040001; 0 when unknown. */
  readonly sqliteVersion: number;
}

export const HEADER_BYTES = 100;
const MAGIC = Buffer.from("SQLite format 3\0", "latin1");

/** Reads a header, or undefined when these bytes start no SQLite database. */
export function parseHeader(bytes: Buffer): DatabaseHeader | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 16).equals(MAGIC)) return undefined;
  // 65536 does not fit into two bytes and is written as 1.
  const written = bytes.readUInt16BE(16);
  const pageSize = written === 1 ? 65536 : written;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const counted = bytes.readUInt32BE(24) === bytes.readUInt32BE(92);
  return {
    pageSize,
    wal: bytes[18] === 2 || bytes[19] === 2,
    pageCount: counted ? bytes.readUInt32BE(28) : null,
    userVersion: bytes.readInt32BE(60),
    applicationId: bytes.readInt32BE(68),
    sqliteVersion: bytes.readUInt32BE(96),
  };
}

/**
 * Whether bytes look encrypted: as good as random, where text, archives' headers and other formats
 * are far from it. For the wording of a refusal only.
 * @param bytes some 1,000 bytes of the file's start
 */
export function looksEncrypted(bytes: Buffer): boolean {
  if (bytes.length < 512) return false;
  const counts = new Map<number, number>();
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values())
    bits -= (count / bytes.length) * Math.log2(count / bytes.length);
  return bits > 7.3;
}
