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
    await mkdir(path, { mode });
    return path;
  } catch (thrown) {
    if (isSystemError(thrown, "EEXIST") && (await isDirectory(path))) return undefined;
    const parent = dirname(path);
    if (!isSystemError(thrown, "ENOENT") || (await isDirectory(parent))) throw thrown;
    const topmost = await makeDirectories(parent, mode);
    const own = await makeDirectories(path, mode);
    return topmost ?? own;
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
