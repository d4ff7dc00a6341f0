import { dirname, resolve } from "node:path";
import type { RawReader } from "../raw/raw-reader.ts";

/** Starts a journal's header, and ends the record of a super-journal's name (fileformat2.html, 3). */
const MAGIC = Buffer.from("d9d505f920a163d7", "hex");
const TRAILER_BYTES = 16;
const LONGEST_NAME = 4096;

/**
 * The super-journal that a rollback journal names, as an absolute path; undefined when there is no
 * journal, it is finished, or it names none. While it exists the journal belongs to a transaction
 * over several databases that did not commit; SQLite takes a missing one for a committed transaction
 * and keeps the half that was written.
 */
export async function superJournalOf(
  reader: RawReader,
  database: string,
  journalBytes: number,
): Promise<string | undefined> {
  const journal = `${database}-journal`;
  const start = await reader.peek(journal, 0, MAGIC.length);
  if (!start?.equals(MAGIC) || journalBytes < TRAILER_BYTES) return undefined;
  const trailer = await reader.peek(journal, journalBytes - TRAILER_BYTES, TRAILER_BYTES);
  if (trailer?.length !== TRAILER_BYTES || !trailer.subarray(8).equals(MAGIC)) return undefined;
  const length = trailer.readUInt32BE(0);
  if (length === 0 || length > LONGEST_NAME || length > journalBytes - TRAILER_BYTES)
    return undefined;
  const name = await reader.peek(journal, journalBytes - TRAILER_BYTES - length, length);
  if (name?.length !== length || sumOf(name) !== trailer.readUInt32BE(4)) return undefined;
  return resolve(dirname(database), name.toString("utf8"));
}

function sumOf(name: Buffer): number {
  // SQLite adds them as signed characters, in 32 bits.
  return name.reduce((sum, byte) => (sum + ((byte << 24) >> 24)) >>> 0, 0);
}
