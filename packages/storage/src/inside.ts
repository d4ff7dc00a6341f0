import { realpath, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { isSystemError, LifeboatError } from "@lifeboat/core";

/**
 * Proves that no symbolic link lies between a repository's root and a folder of it, as far as it is
 * there. Who may write to a repository may be less than who runs us: led away by a link, root would
 * write, and remove, anywhere.
 * @throws LifeboatError `STORAGE_DENIED`; what `realpath` throws when the root cannot be reached
 */
export async function assertInside(root: string, folder: string): Promise<void> {
  const real = await realpath(root);
  for (let each = folder; each !== root; each = dirname(each)) {
    const found = await realpath(each).catch((cause: unknown) => {
      if (isSystemError(cause, "ENOENT")) return undefined;
      throw cause;
    });
    if (found === undefined) continue;
    if (found !== join(real, relative(root, each))) throw leadsAway(each);
    return;
  }
}

/**
 * Proves that a symbolic link in a repository's folder stands for no folder, whose objects a listing would pass over.
 * @throws LifeboatError `STORAGE_DENIED`
 */
export async function assertNoFolder(root: string, link: string): Promise<void> {
  // What leads nowhere, or where nobody may look, is no folder that anything could be read from.
  const found = await stat(link).catch(() => undefined);
  if (found?.isDirectory()) await assertInside(root, link);
}

function leadsAway(folder: string): LifeboatError {
  return new LifeboatError({
    code: "STORAGE_DENIED",
    message: `a symbolic link leads from ${folder} out of the repository`,
    remedy:
      "find out who put it there; to keep a part of the repository on another disk, mount that disk there (mount --bind)",
    details: { path: folder },
  });
}
