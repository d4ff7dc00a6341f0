import { rmSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ownProcessMark, processOfMarkIsGone } from "@lifeboat/core";
import { execa } from "execa";
import { SMALL_DISK } from "./small-disk.ts";

/** A file system in memory that Linux mounts here (`TMPFS_MAGIC`). */
const PLACE = "/dev/shm";
const TMPFS = 0x0102_1994;
/** Several times what the tests need at once. */
const ROOM = 8 * 2 ** 30;
const NAME = /^lifeboat-\w{6}$/;
/** Says in each folder which run made it. */
const MAKER = ".made-by";

/**
 * Runs before all tests: has them work in memory where there is room, since they make, sync and remove the files of some hundred
 * clusters: on a disk that is a third of their time. They kill processes and cut no power; what is synced
 * before what is proved by listening. `TMPDIR=/tmp npm test` runs them on the disk.
 */
export default async function workInMemory(): Promise<(() => void) | undefined> {
  if (process.env.TMPDIR) return undefined;
  const found = await statfs(PLACE).catch(() => undefined);
  if (found?.type !== TMPFS || found.bavail * found.bsize < ROOM) return undefined;
  await removeWhatIsLeft();
  const folder = await mkdtemp(join(PLACE, "lifeboat-"));
  // As the usual one: other accounts' servers work in it, too.
  await chmod(folder, 0o1777);
  await writeFile(join(folder, MAKER), ownProcessMark());
  process.env.TMPDIR = folder;
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // A run that Ctrl-C ends takes nothing down in order.
  process.once("exit", remove);
  return remove;
}

/** By runs that were killed: memory is given back by nobody else. */
async function removeWhatIsLeft(): Promise<void> {
  for (const name of await readdir(PLACE)) {
    if (!NAME.test(name)) continue;
    const folder = join(PLACE, name);
    const maker = await readFile(join(folder, MAKER), "utf8").catch(() => "");
    if (!processOfMarkIsGone(maker)) continue;
    for (const disk of await readdir(folder))
      if (disk.startsWith(SMALL_DISK))
        await execa("umount", ["-l", join(folder, disk)], { reject: false });
    await rm(folder, { recursive: true, force: true });
  }
}
