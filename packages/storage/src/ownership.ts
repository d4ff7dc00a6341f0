import { type FileHandle, lchown, mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isSystemError, syncDirectory } from "@lifeboat/core";

/** Makes directories and gives files to the owner of the repository. */
export interface Ownership {
  give(handle: FileHandle): Promise<void>;
  /** Makes `folder` and what lies between it and `root`, each 0700 and durable. */
  makeDirectories(root: string, folder: string): Promise<void>;
}

export async function ownershipOf(root: string): Promise<Ownership> {
  const { uid, gid } = await stat(root);
  // Only root may give files away; for everybody else their own name is the right one.
  const foreign = process.getuid?.() === 0 && uid !== 0;

  const makeDirectories = async (top: string, folder: string): Promise<void> => {
    if (folder === top) return;
    try {
      await mkdir(folder, { mode: 0o700 });
    } catch (cause) {
      if (isSystemError(cause, "EEXIST")) return;
      // The top itself is never made here: a repository that is gone is an error.
      if (!isSystemError(cause, "ENOENT") || dirname(folder) === top) throw cause;
      await makeDirectories(top, dirname(folder));
      return makeDirectories(top, folder);
    }
    // Whoever owns the repository may have put a link in its place since: root gives away that link, not what it leads to.
    if (foreign) await lchown(folder, uid, gid);
    await syncDirectory(dirname(folder));
  };

  return {
    async give(handle) {
      if (foreign) await handle.chown(uid, gid);
    },
    makeDirectories,
  };
}
