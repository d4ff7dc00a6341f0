import { type ChecksumWords, WalChecksum } from "./checksum.ts";

/** Chosen anew whenever a WAL begins from its start: frames of an older run do not bear them. */
export type Salts = readonly [salt1: number, salt2: number];

/** What the 32 bytes at the start of a `-wal` file say (sqlite.org/fileformat2.html, 4.1). */
export interface WalHeader {
  readonly pageSize: number;
  readonly salts: Salts;
  /** The byte order of the words that checksums are made of; all other numbers are big-endian. */
  readonly bigEndian: boolean;
  /** Its own checksum, from which those of the frames go on. */
  readonly checksum: ChecksumWords;
}

export const WAL_HEADER_BYTES = 32;
const SUMMED_BYTES = 24;
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
  const bigEndian = (magic & 1) === 1;
  const sum = new WalChecksum(bigEndian);
  sum.add(bytes, 0, SUMMED_BYTES);
  if (!sum.is(bytes.readUInt32BE(24), bytes.readUInt32BE(28)))
    return "has a header whose checksum is wrong";
  const found = bytes.readUInt32BE(8);
  if (found !== pageSize) return `is for pages of ${found} bytes, the database has ${pageSize}`;
  const salts: Salts = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  return { pageSize: found, salts, bigEndian, checksum: sum.words };
}

/** A header of a WAL of ours; its checksums are of little-endian words. */
export function formatWalHeader(init: { readonly pageSize: number; readonly salts: Salts }): {
  readonly bytes: Buffer;
  readonly header: WalHeader;
} {
  const bytes = Buffer.alloc(WAL_HEADER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  bytes.writeUInt32BE(init.pageSize, 8);
  bytes.writeUInt32BE(init.salts[0], 16);
  bytes.writeUInt32BE(init.salts[1], 20);
  const sum = new WalChecksum(false);
  sum.add(bytes, 0, SUMMED_BYTES);
  bytes.writeUInt32BE(sum.words[0], 24);
  bytes.writeUInt32BE(sum.words[1], 28);
  return { bytes, header: { ...init, bigEndian: false, checksum: sum.words } };
}
