import { endianness } from "node:os";
import type { RawReader } from "../raw/raw-reader.ts";
import { locksOn } from "./lock-list.ts";

/** How a WAL stands, read from its index without a connection. */
export interface WalState {
  /** Pages in the WAL that are not in the database file yet. */
  readonly behindPages: number;
  /** Processes that read from the WAL at this moment (Linux). */
  readonly readers: readonly number[];
}

/** Places in the `-shm` file (sqlite.org/walformat.html, 2.1); numbers there are in the machine's order. */
const LAST_FRAME = 16;
const CHECKPOINTED = 96;
const INDEX_BYTES = 136;
/** The bytes that readers lock: marks 1 to 4 read from the WAL. */
const FIRST_READ_LOCK = 124;
const LAST_READ_LOCK = 127;

/** Undefined where no process has the WAL open, so that there is no index. */
export async function walStateOf(reader: RawReader, path: string): Promise<WalState | undefined> {
  const index = await reader.peek(`${path}-shm`, 0, INDEX_BYTES);
  if (!index || index.length < INDEX_BYTES) return undefined;
  const at = (offset: number) =>
    endianness() === "LE" ? index.readUInt32LE(offset) : index.readUInt32BE(offset);
  const behindPages = Math.max(0, at(LAST_FRAME) - at(CHECKPOINTED));
  return { behindPages, readers: readersOf(`${path}-shm`) };
}

function readersOf(index: string): number[] {
  const readers = locksOn(index).filter(
    ({ first, last }) => last >= FIRST_READ_LOCK && first <= LAST_READ_LOCK,
  );
  return [...new Set(readers.map(({ pid }) => pid))];
}
