import { lstat, readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  isSystemError,
  LifeboatError,
  ownProcessMark,
  processOfMarkIsGone,
  processOfMarkLives,
} from "@lifeboat/core";
import { serverAccount } from "../files/account.ts";
import { readSmallFile } from "../files/small-file.ts";
import { versionFolder } from "./version-folder.ts";

/** Lies in a tablespace that was put in its place until the whole restore is done; names the run. */
export const UNFINISHED = ".lifeboat-restore";

/** Lies in a building folder while its entries are moved up, one by one, and names them; a NUL ends a name. */
export const MOVING = ".lifeboat-moving";

/** The entries of a directory, without what dead or running restores to it build; undefined if it is missing. */
export async function entriesOf(place: string): Promise<string[] | undefined> {
  try {
    const prefix = leftoverPrefix(place);
    return (await readdir(place)).filter((name) => !name.startsWith(prefix));
  } catch (cause) {
    if (isSystemError(cause, "ENOTDIR") || (await isLink(place))) throw notDirectory(place);
    if (isSystemError(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

/** Links to directories are followed before; one that is met here leads nowhere. */
async function isLink(place: string): Promise<boolean> {
  return lstat(place).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}

/**
 * Removes what runs to this place left that were killed: their building folders, and tablespaces
 * that they had put in place already, which a mark in them tells.
 */
export async function clearLeftovers(place: string): Promise<void> {
  for (const folder of [dirname(place), place])
    for (const name of await readdir(folder).catch((): string[] => [])) {
      if (!isDeadRun(name, leftoverPrefix(place))) continue;
      const leftover = join(folder, name);
      if (!(await isOfARun(leftover, folder))) continue;
      for (const tablespace of await linksIn(join(leftover, "pg_tblspc")))
        if ((await readMark(tablespace)) === name)
          await emptyOut(tablespace, await othersIn(tablespace, await ownFolder(leftover)));
      await clearMoved(leftover, place);
      await rm(leftover, { recursive: true, force: true });
    }
}

/**
 * In a folder for all anybody may lay a directory of such a name, and have us remove by it what lies in the place and is not his. So there it
 * has to be our own, that of the folder's owner, who needs no help of ours, or that of the account for which root restores.
 */
async function isOfARun(leftover: string, folder: string): Promise<boolean> {
  const [own, around] = await Promise.all([lstat(leftover), stat(folder)]);
  if (!own.isDirectory()) return false;
  if ((around.mode & 0o022) === 0) return true;
  const { uid } = await serverAccount(folder);
  return [around.uid, process.geteuid?.(), uid].includes(own.uid);
}

/**
 * Removes what was moved up out of a building folder that was not moved to its end, and nothing else: a killed run's
 * version need not be ours, and what lies beside may be a living server's.
 */
export async function clearMoved(building: string, place: string): Promise<void> {
  const left = await readdir(building).catch((): string[] => []);
  if (!left.includes(MOVING)) return;
  const names = String(await readSmallFile(join(building, MOVING))).split("\0");
  for (const name of await readdir(place))
    if (names.includes(name) && !left.includes(name))
      await rm(join(place, name), { recursive: true, force: true });
}

/** What lies in a place and is not of the copy in it: what restores build there, and in a tablespace all but its version's folder. */
export async function othersIn(place: string, own?: RegExp): Promise<string[]> {
  const isOurs = (name: string) => own === undefined || name === UNFINISHED || own.test(name);
  const prefix = leftoverPrefix(place);
  return (await readdir(place)).filter((name) => name.startsWith(prefix) || !isOurs(name));
}

/** As the data directory says that a killed run has built, which is whole by then; one that says nothing has none. */
async function ownFolder(leftover: string): Promise<RegExp> {
  const version = await readSmallFile(join(leftover, "PG_VERSION")).catch(() => "");
  return versionFolder(String(version).trim());
}

/** How the names of all folders begin that restores to a place make beside it. */
export function leftoverPrefix(place: string): string {
  return `.${basename(place)}.lifeboat-`;
}

function isDeadRun(name: string, prefix: string): boolean {
  const mark = markIn(name, prefix);
  return mark !== undefined && processOfMarkIsGone(mark);
}

/** Of the run that made a folder; undefined of any other folder. */
function markIn(name: string, prefix: string): string | undefined {
  return /^(.+)-[0-9a-f]{12}$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : "")?.[1];
}

/**
 * Two runs to one place would both find it empty, and the later one would take the earlier one's, in which a server may run by
 * then, for what it is to replace.
 * @throws LifeboatError `LOCKED` while another process of this machine builds for the place
 */
export async function assertNobodyElseBuilds(place: string): Promise<void> {
  for (const folder of [dirname(place), place])
    for (const name of await readdir(folder).catch((): string[] => [])) {
      const mark = markIn(name, leftoverPrefix(place));
      if (mark === undefined || mark === ownProcessMark() || !processOfMarkLives(mark)) continue;
      throw new LifeboatError({
        code: "LOCKED",
        kind: "locked",
        message: `another run (pid ${mark.split("-")[1]}) builds ${place} already`,
        remedy: "wait until it has ended, or name another directory",
        details: { path: place, beside: join(folder, name) },
      });
    }
}

/** What a killed run left may be at any stage: a folder or link that is missing leads to nothing of its own. */
async function linksIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const targets = await Promise.all(
    names.map((name) => readlink(join(folder, name)).catch(() => undefined)),
  );
  return targets.filter((target) => target !== undefined);
}

/** Without a mark that we can read, a tablespace is taken for somebody else's and left alone. */
async function readMark(place: string): Promise<string | undefined> {
  return readFile(join(place, UNFINISHED), "utf8").catch(() => undefined);
}

/** Removes what is in a directory, and leaves the directory. */
export async function emptyOut(place: string, keep: readonly string[] = []): Promise<void> {
  for (const name of await readdir(place))
    if (!keep.includes(name)) await rm(join(place, name), { recursive: true, force: true });
}

/** What lies in a place that may not be replaced. */
export function filledMeanwhile(place: string): LifeboatError {
  return new LifeboatError({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    message: `${place} was empty, and somebody put something there meanwhile`,
    remedy: "look at what it is; then name a directory that is missing or empty",
    details: { path: place },
  });
}

function notDirectory(place: string): LifeboatError {
  return new LifeboatError({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    message: `${place} is no directory`,
    remedy: "name a directory that is missing or empty",
    details: { path: place },
  });
}
