import { readFile, stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

/**
 * The POSIX locks that this process holds on a file, as the kernel lists them: `READ 123 123` (Linux).
 * The list comes in pages of 4 KiB, and others lock and unlock between two of them, so that a lock may
 * be missing or told twice: it is read until two readings agree.
 */
export async function ownLocks(path: string): Promise<string[]> {
  const { ino } = await stat(path);
  let last = await listed(ino);
  for (;;) {
    const next = await listed(ino);
    if (isDeepStrictEqual(next, last)) return next;
    last = next;
  }
}

async function listed(inode: number): Promise<string[]> {
  const locks = (await readFile("/proc/locks", "utf8"))
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[4] === `${process.pid}` && fields[5]?.endsWith(`:${inode}`))
    .map((fields) => `${fields[3]} ${fields[6]} ${fields[7]}`);
  return [...new Set(locks)].sort();
}

/** The byte of the `-shm` that a reader locks who reads the database file alone (WAL_READ_LOCK(0)). */
export const PINNED = "READ 123 123";

/** What any connection to a WAL-mode database, or a reader of another one, locks of the file itself. */
export const SHARED = "READ 1073741826 1073742335";
