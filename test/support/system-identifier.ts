import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Where the CRC of `global/pg_control` may lie: behind the last of its fields, which differ from version to version. */
const CRC_FROM = 200;
const CRC_TO = 512;
/** Of a segment's first page, behind the header that every page has (`XLogLongPageHeaderData`). */
const IDENTIFIER_IN_SEGMENT = 24;

/**
 * Gives the data directory of a server that was stopped in order another system identifier, as if initdb had made it anew: in its
 * control file, and in each segment of its WAL.
 */
export async function giveSystemIdentifier(
  dataDirectory: string,
  identifier: bigint,
): Promise<void> {
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64LE(identifier);
  await changeControlFile(join(dataDirectory, "global", "pg_control"), eight);
  const wal = join(dataDirectory, "pg_wal");
  for (const name of await readdir(wal)) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue;
    await using segment = await open(join(wal, name), "r+");
    await segment.write(eight, 0, 8, IDENTIFIER_IN_SEGMENT);
  }
}

async function changeControlFile(path: string, identifier: Buffer): Promise<void> {
  await using file = await open(path, "r+");
  const content = Buffer.alloc(CRC_TO + 4);
  await file.read(content, 0, content.length, 0);
  const at = placeOfCrc(content);
  identifier.copy(content, 0);
  content.writeUInt32LE(crc32c(content.subarray(0, at)), at);
  await file.write(content, 0, at + 4, 0);
}

function placeOfCrc(content: Buffer): number {
  for (let at = CRC_FROM; at <= CRC_TO; at += 4)
    if (content.readUInt32LE(at) === crc32c(content.subarray(0, at))) return at;
  throw new Error("the control file has no CRC where one is looked for");
}

/** CRC-32C (Castagnoli), as Postgres has it; Node has only the other one. */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
