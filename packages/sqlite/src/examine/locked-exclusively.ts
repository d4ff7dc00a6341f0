import { setTimeout as pause } from "node:timers/promises";
import { locksOn } from "./lock-list.ts";

/** The bytes of a database file that every reader locks together, and who wants it alone locks for writing (os.h in SQLite). */
const FIRST_SHARED = 0x40000002;
const LAST_SHARED = FIRST_SHARED + 509;
/** Who closes a WAL-mode database last, or changes its journal mode, has it alone for a moment. */
const A_MOMENT_MS = 200;

/**
 * The process that keeps everybody else out of a WAL-mode database, as `PRAGMA locking_mode = EXCLUSIVE` does; undefined where the kernel
 * lists none.
 */
export async function lockedExclusivelyBy(path: string): Promise<number | undefined> {
  const holder = holderOf(path);
  if (holder === undefined) return undefined;
  await pause(A_MOMENT_MS);
  return holderOf(path) === holder ? holder : undefined;
}

function holderOf(path: string): number | undefined {
  return locksOn(path).find(
    ({ mode, first, last }) => mode === "WRITE" && first <= LAST_SHARED && last >= FIRST_SHARED,
  )?.pid;
}
