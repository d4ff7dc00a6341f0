/** What the 32 bytes at the start of a `-wal` file say (sqlite.org/fileformat2.html, 4.1). */
export interface WalHeader {
  readonly pageSize: number;
  readonly salts: readonly [number, number];
}

export const WAL_HEADER_BYTES = 32;
const MAGIC = 0x377f0682;
const VERSION = 3007000;

/**
 * Reads the header of a `-wal` file.
 * @param pageSize of the database beside it
 * @returns the header, or in words what is wrong with it: SQLite reads such a file as empty, without
 *   an error, and the commits in it are lost
 */
export function parseWalHeader(bytes: Buffer, pageSize: number): WalHeader | string {
  if (bytes.length < WAL_HEADER_BYTES) return "is shorter than its header";
  const magic = bytes.readUInt32BE(0);
  // The lowest bit tells the byte order of the words that are summed.
  if ((magic & ~1) >>> 0 !== MAGIC) return "does not start with a WAL's magic number";
  if (bytes.readUInt32BE(4) !== VERSION)
    return `has the unknown format version ${bytes.readUInt32BE(4)}`;
  const [first, second] = walChecksum(bytes.subarray(0, 24), (magic & 1) === 1, [0, 0]);
  if (first !== bytes.readUInt32BE(24) || second !== bytes.readUInt32BE(28))
    return "has a header whose checksum is wrong";
  const found = bytes.readUInt32BE(8);
  if (found !== pageSize) return `is for pages of ${found} bytes, the database has ${pageSize}`;
  return { pageSize: found, salts: [bytes.readUInt32BE(16), bytes.readUInt32BE(20)] };
}

/**
 * The running checksum of WAL headers and frames (sqlite.org/fileformat2.html, 4.2).
 * @param bytes a multiple of eight
 */
function walChecksum(
  bytes: Buffer,
  bigEndian: boolean,
  before: readonly [number, number],
): [number, number] {
  let [first, second] = before;
  for (let at = 0; at < bytes.length; at += 8) {
    const left = bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
    const right = bigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4);
    first = (first + left + second) >>> 0;
    second = (second + right + first) >>> 0;
  }
  return [first, second];
}
