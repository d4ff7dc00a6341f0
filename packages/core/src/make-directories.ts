import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isSystemError } from "./errors.ts";

/**
 * Makes a directory, and those above it that are missing. Node's `mkdir` with `recursive` never ends, and cannot be stopped, where the
 * system says ENOENT although the parent is there, as in `/proc`.
 * @param path absolute
 * @returns the topmost that was made; undefined where all were there
 * @throws the system's error
 */
export async function makeDirectories(path: string, mode: number): Promise<string | undefined> {
  try {
    return await makeDirectory(path, mode);
  } catch (thrown) {
    if (!isSystemError(thrown, "ENOENT")) throw thrown;
    const parent = dirname(path);
    const topmost = (await isDirectory(parent)) ? undefined : await makeDirectories(parent, mode);
    // Also where the parent is there: another run may have made it since, and only a second try tells that from `/proc`.
    const own = await makeDirectory(path, mode);
    return topmost ?? own;
  }
}

async function makeDirectory(path: string, mode: number): Promise<string | undefined> {
  try {
    await mkdir(path, { mode });
    return path;
  } catch (thrown) {
    if (isSystemError(thrown, "EEXIST") && (await isDirectory(path))) return undefined;
    throw thrown;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return false;
    throw thrown;
  }
}
