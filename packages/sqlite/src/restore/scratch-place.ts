import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Examined } from "../examine/examine.ts";
import { roomAt } from "../examine/file-system.ts";
import { walBytes } from "../examine/wal-watch.ts";
import { removeDeadScratches, Scratch } from "./scratch.ts";

/** What a copy must leave free, for the app and its WAL. */
const SPARE_BYTES = 64 << 20;
const SPARE_SHARE = 0.1;

/**
 * A scratch folder with room for one raw copy of the database: beside it, where a file system with
 * clones makes the copy cost nothing, else in the temporary folder if that is on a disk. Also removes
 * what killed runs left in both.
 * @returns undefined when there is no room
 */
export async function scratchFor(
  { path, stat }: Examined,
  spareBytes: number | null,
): Promise<Scratch | undefined> {
  const bytes = stat.size + (await walBytes(path));
  const needed = bytes + (spareBytes ?? Math.max(SPARE_BYTES, bytes * SPARE_SHARE));
  const beside = dirname(path);
  await ifUsable(() => removeDeadScratches(tmpdir()));
  for (const folder of [beside, tmpdir()]) {
    const { freeBytes, memory } = await roomAt(folder);
    if (freeBytes < needed || (memory && folder !== beside)) continue;
    const scratch = await ifUsable(() => Scratch.make(folder));
    if (scratch) return scratch;
  }
  return undefined;
}

/** What makes a folder none for a copy: there is another, and a way without. */
const UNUSABLE = ["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR"];

async function ifUsable<T>(use: () => Promise<T>): Promise<T | undefined> {
  try {
    return await use();
  } catch (thrown) {
    if (UNUSABLE.some((code) => isSystemError(thrown, code))) return undefined;
    throw thrown;
  }
}
