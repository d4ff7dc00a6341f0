import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, ownProcessMark, processOfMarkIsGone } from "@lifeboat/core";

const NAME = /^\.lifeboat-([0-9a-f]+-\d+-\d+)-[0-9a-f]{8}$/;
/** After so long without a change, what a process left that cannot be seen from here is taken for dead. */
const FORGOTTEN_MS = 24 * 60 * 60_000;

/**
 * A private folder for files that are not yet, or only for a while. It carries the mark of its
 * process, so that the next run removes what a killed one left.
 */
export class Scratch {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes one in `parent`, after removing those of dead processes there. */
  static async make(parent: string): Promise<Scratch> {
    await removeDeadScratches(parent);
    const path = join(parent, `.lifeboat-${ownProcessMark()}-${randomBytes(4).toString("hex")}`);
    await mkdir(path, { mode: 0o700 });
    // The umask may have taken bits that are needed here.
    await chmod(path, 0o700);
    return new Scratch(path);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Removes it with all that is in it. May be called twice. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** Removes the scratch folders of processes that are gone. */
export async function removeDeadScratches(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const mark = NAME.exec(name)?.[1];
    if (mark === undefined || mark === ownProcessMark()) continue;
    const path = join(parent, name);
    if (!processOfMarkIsGone(mark) && !(await isForgotten(path))) continue;
    if (await isRemovable(path, parent)) await removeOwn(path);
  }
}

/** Out of a folder for all only what is ours: as root we would be led by the links that somebody puts into his while we remove it. */
async function isRemovable(path: string, parent: string): Promise<boolean> {
  if (((await stat(parent)).mode & 0o022) === 0) return true;
  const found = await lstat(path).catch(() => undefined);
  return found?.uid === process.geteuid?.();
}

async function removeOwn(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (thrown) {
    // Another user's, in a folder for all such as /tmp: theirs to remove.
    if (!isSystemError(thrown, "EACCES") && !isSystemError(thrown, "EPERM")) throw thrown;
  }
}

/** A process in another container, or before a restart of the machine, cannot be asked. */
async function isForgotten(folder: string): Promise<boolean> {
  const oldest = Date.now() - FORGOTTEN_MS;
  try {
    const paths = [folder, ...(await readdir(folder)).map((name) => join(folder, name))];
    for (const path of paths) if ((await stat(path)).mtimeMs > oldest) return false;
    return true;
  } catch (thrown) {
    // Its owner is removing it at this moment, or it belongs to another user.
    if (["ENOENT", "EACCES", "EPERM"].some((code) => isSystemError(thrown, code))) return false;
    throw thrown;
  }
}
