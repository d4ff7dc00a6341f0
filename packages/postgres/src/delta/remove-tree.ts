import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";

/**
 * Removes what lies at a place, folders with all that is in them; a link goes, and never what it leads to.
 * @returns how many files and links that were
 */
export async function removeTree(place: string): Promise<number> {
  if (!(await lstat(place)).isDirectory()) {
    await unlink(place);
    return 1;
  }
  let removed = 0;
  for (const name of await readdir(place)) removed += await removeTree(join(place, name));
  await rmdir(place);
  return removed;
}
