import { chmod, mkdtemp, rm, statfs } from "node:fs/promises";
import { join } from "node:path";

/** File systems in memory that Linux mounts here (`TMPFS_MAGIC`). */
const PLACE = "/dev/shm";
const TMPFS = 0x0102_1994;
/** What the tests of two workers need at most, and as much again. */
const ROOM = 8 * 2 ** 30;

/**
 * Runs before all tests: has them work in memory where there is room, since they make and remove some thousand clusters' worth of files
 * and sync each: on a disk that is a third of their time. They kill processes, and cut no power; which file is synced when
 * is proved by listening. `TMPDIR=/tmp npm test` runs them on the disk.
 */
export default async function workInMemory(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.TMPDIR) return undefined;
  const found = await statfs(PLACE).catch(() => undefined);
  if (found?.type !== TMPFS || found.bavail * found.bsize < ROOM) return undefined;
  const folder = await mkdtemp(join(PLACE, "lifeboat-"));
  // As the usual one: other accounts' servers work in it, too.
  await chmod(folder, 0o1777);
  process.env.TMPDIR = folder;
  return async () => {
    delete process.env.TMPDIR;
    await rm(folder, { recursive: true, force: true });
  };
}
