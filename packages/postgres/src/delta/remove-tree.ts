import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";

/**
 * Removes what lies at a place, folders with all that is in them; a link goes, and never what it leads to.
 * Others may be at it too: the prefetcher of a server that was stopped clears its spool in pg_wal by itself.
 * @returns how many files and links that were
 */
export async function removeTree(place: string): Promise<number> {
  const found = await lstat(place).catch(absent);
  if (!found) return 0;
  if (!found.isDirectory()) {
    await unlink(place).catch(absent);
    return 1;
  }
  let removed = 0;
  for (const name of (await readdir(place).catch(absent)) ?? [])
    removed += await removeTree(join(place, name));
  try {
    await rmdir(place);
    return removed;
  } catch (cause) {
    if (isSystemError(cause, "ENOENT")) return removed;
    // Something came into it meanwhile.
    if (!isSystemError(cause, "ENOTEMPTY")) throw cause;
    return removed + (await removeTree(place));
  }
}

function absent(cause: unknown): undefined {
  if (isSystemError(cause, "ENOENT")) return undefined;
  throw cause;
}
