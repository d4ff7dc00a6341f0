import { link, lstat, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Finding, isSystemError, LifeboatError, syncDirectory } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { foldLog, isInUse } from "../examine/in-use.ts";
import { restoreInto } from "./live-restore.ts";

/** Where a restored database goes. */
export interface Place {
  readonly directory: string;
  readonly file: string;
  /** What SQLite would take for the database's own if it lay there: nothing in it says whose it is. */
  readonly companions: readonly string[];
}

export function placeOf(directory: string, fileName: string): Place {
  const file = join(directory, fileName);
  return {
    directory,
    file,
    companions: ["-wal", "-journal", "-shm"].map((suffix) => file + suffix),
  };
}

/**
 * @throws LifeboatError kind `refused`: `TARGET_NOT_A_DIRECTORY`; `TARGET_NOT_EMPTY` when the file is there, `STALE_WAL` when a
 *   `-wal`, `-journal` or `-shm` lies where it would be read as the copy's; with `force` only
 *   what no file can be put over
 */
export async function assertPlaceIsFree(place: Place, force: boolean): Promise<void> {
  await assertDirectory(place);
  const kind = await kindOf(place.file);
  if (kind !== "none" && kind !== "file") throw notReplaceable(place.file);
  if (kind === "file" && !force) throw taken(place);
  for (const companion of place.companions) {
    const lying = await kindOf(companion);
    if (force && lying === "directory") throw notReplaceable(companion);
    if (!force && lying !== "none") throw stale(place, companion);
  }
}

/**
 * Puts a finished copy into its place. A database that others have open gets its content through
 * SQLite; else the copy gets the name.
 * @throws LifeboatError `DATABASE_IN_USE` (kind `refused`)
 */
export async function putInPlace(
  place: Place,
  copy: string,
  { force, patienceMs }: { readonly force: boolean; readonly patienceMs: number },
): Promise<Finding[]> {
  await assertPlaceIsFree(place, force);
  if (force && (await kindOf(place.file)) === "file" && (await isInUse(place.file)))
    return restoreInto(place.file, copy, patienceMs);
  await takePlace(place, copy, force);
  return [];
}

/**
 * Gives a finished copy its name, durably. What was there with `force` is first brought into one file,
 * so that a crash at any instant leaves the old database or the new one and never one with the log of
 * the other.
 */
async function takePlace(place: Place, copy: string, force: boolean): Promise<void> {
  if (force) {
    if ((await kindOf(place.file)) === "file") foldLog(place.file);
    for (const companion of place.companions) await rm(companion, { force: true });
    await syncDirectory(place.directory);
    await rename(copy, place.file);
  } else {
    await linkOrRename(copy, place);
  }
  await syncDirectory(place.directory);
}

/** A link never replaces a file that came into being since we looked; a rename would. */
async function linkOrRename(copy: string, place: Place): Promise<void> {
  try {
    await link(copy, place.file);
  } catch (thrown) {
    if (isSystemError(thrown, "EEXIST")) throw taken(place);
    const noLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];
    if (!noLinks.some((code) => isSystemError(thrown, code))) throw thrown;
    await rename(copy, place.file);
  }
}

async function kindOf(path: string): Promise<"none" | "file" | "directory" | "other"> {
  try {
    const found = await lstat(path);
    return found.isFile() ? "file" : found.isDirectory() ? "directory" : "other";
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return "none";
    throw thrown;
  }
}

/**
 * A link to a directory leads there. One that is not there is made, unless it has the file's own name: then the file was meant, and a
 * directory would lie in its place.
 */
async function assertDirectory({ directory, file }: Place): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) {
      const leadsNowhere = (await kindOf(directory)) === "other";
      if (basename(directory) !== basename(file) && !leadsNowhere) return;
    } else if (!isSystemError(thrown, "ENOTDIR")) throw thrown;
  }
  throw refused(
    "TARGET_NOT_A_DIRECTORY",
    directory,
    "is no directory, and the restored file keeps its name",
    basename(directory) === basename(file)
      ? `name the directory that it lies in: --to ${shellWord(dirname(directory))}`
      : "name a directory",
  );
}

function taken({ file }: Place): LifeboatError {
  return refused(
    "TARGET_NOT_EMPTY",
    file,
    "is there already",
    "restore to another directory, or say --force to put the restored file in its place",
  );
}

function stale({ file }: Place, companion: string): LifeboatError {
  return refused(
    "STALE_WAL",
    companion,
    `lies where SQLite would apply it to the restored ${file}`,
    "move it away (what was committed last may lie in it alone), or say --force to remove it; or restore to another directory",
  );
}

function notReplaceable(path: string): LifeboatError {
  return refused(
    "TARGET_NOT_EMPTY",
    path,
    "is a link, a directory or no regular file, which is not replaced",
    "restore to another directory",
  );
}

function refused(code: string, path: string, what: string, remedy: string): LifeboatError {
  return new LifeboatError({
    code,
    kind: "refused",
    message: `${path} ${what}`,
    remedy,
    details: { path },
  });
}

/** A path that is too long, leads in circles, or into what is no file system of files: whatever SQLite's own failures don't tell. */
export function placeFailure(to: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !("syscall" in cause)) return cause;
  return new LifeboatError({
    code: "TARGET_UNWRITABLE",
    message: `${to} could not be restored: ${cause.message}`,
    remedy:
      "name a directory that this account may write to, and run it again: nothing was left behind",
    details: { path: to },
    cause,
  });
}
