import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type DatabaseFolder, LifeboatError, type Repository } from "@lifeboat/core";
import { readSystemIdentifier } from "./system-identifier.ts";
import { checkedSegment } from "./wal/archived-segment.ts";
import { logName, parseWalFileName } from "./wal/segment-name.ts";

export interface FetchWal {
  readonly repository: Repository;
  /** The server's `%f`. */
  readonly name: string;
  /** The server's `%p`: absolute, or from the data directory, in which the server runs the command. */
  readonly destination: string;
}

const TRIES = 4;
const FIRST_PAUSE_MS = 250;

/**
 * Lays one WAL file at its destination, whole and checked, or leaves nothing there.
 *
 * The server takes "there is no such file" for the end of the archive and opens the database. So
 * that is said only when it is proved: the repository is there, the file is not, and no later one of
 * its timeline either. Whatever else goes wrong is tried again and then thrown as what it is.
 * @throws LifeboatError `WAL_MISSING` (kind `not-found`), and no other error of that kind;
 *   `WAL_GAP`, `CHECKSUM_MISMATCH`, `WAL_FOREIGN`, or what the storage threw
 */
export async function fetchWal(request: FetchWal): Promise<void> {
  const { repository, name } = request;
  if (!parseWalFileName(name)) throw notWal(name);
  const folder = repository.folder("postgres", await systemIdentifier(repository));
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(folder, request);
    } catch (thrown) {
      if (attempt === TRIES || isFinal(thrown)) throw thrown;
      await delay(FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}

/** Trying again changes nothing about an answer, or about an object that is damaged. */
function isFinal(thrown: unknown): boolean {
  const codes = ["WAL_MISSING", "WAL_GAP", "WAL_FOREIGN", "WAL_INVALID"];
  return thrown instanceof LifeboatError && codes.includes(thrown.code);
}

async function fetchOnce(folder: DatabaseFolder, request: FetchWal): Promise<void> {
  const { repository, name, destination } = request;
  if (await folder.statLog(logName(name))) return place(contentOf(folder, name), destination);
  // A repository whose mount has gone has no files either.
  if (!(await repository.storage.stat(`${repository.app}/lifeboat.json`))) throw gone(repository);
  await assertArchiveEnds(folder, name);
  throw missing(folder, name);
}

/**
 * A segment that is missing between others is a hole, not the end. Before a timeline's first
 * segment there is none: the server asks the newest timeline first and goes back to its parents.
 */
async function assertArchiveEnds(folder: DatabaseFolder, name: string): Promise<void> {
  if (parseWalFileName(name)?.kind !== "segment") return;
  const siblings = `${name.slice(0, 8)}/${name.slice(0, 8)}`;
  const earlier = await firstSegment(folder, siblings, undefined);
  const later = await firstSegment(folder, siblings, folder.logPath(logName(name)));
  if (earlier === undefined || later === undefined || earlier > name) return;
  throw new LifeboatError({
    code: "WAL_GAP",
    message: `${folder.logPath(logName(name))} is missing, and later segments such as ${later} are there`,
    remedy: `recover to an instant before the hole (lifeboat list shows the windows), or archive ${name} from the server's pg_wal`,
    details: { segment: name, later },
  });
}

/** The first whole segment of a timeline, or the first after a path. */
async function firstSegment(
  folder: DatabaseFolder,
  prefix: string,
  after: string | undefined,
): Promise<string | undefined> {
  const root = folder.logPath("").replace(/\.zst$/, "");
  let from = after;
  for (;;) {
    const page = await folder.storage.list({ prefix: `${root}${prefix}`, after: from, limit: 10 });
    for (const { path } of page.objects) {
      const name = basename(path, ".zst");
      if (parseWalFileName(name)?.kind === "segment") return name;
    }
    if (page.next === null) return undefined;
    from = page.next;
  }
}

/** Segments are checked for whose they are; history and label files have nothing to check but the seal. */
function contentOf(folder: DatabaseFolder, name: string): AsyncIterable<Uint8Array> {
  const kind = parseWalFileName(name)?.kind;
  if (kind === "segment" || kind === "partial") return checkedSegment(folder, name);
  return folder.readLog(logName(name));
}

/** Beside its place, durable, and then under its name: the server never sees half a file. */
async function place(content: AsyncIterable<Uint8Array>, destination: string): Promise<void> {
  const beside = join(dirname(destination), `.${basename(destination)}.lifeboat-${process.pid}`);
  try {
    const file = await open(beside, "w", 0o600);
    try {
      for await (const chunk of content) await file.write(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, destination);
  } catch (thrown) {
    await rm(beside, { force: true });
    throw thrown;
  }
}

/** Which cluster asks: the server runs us in its data directory. */
async function systemIdentifier(repository: Repository): Promise<string> {
  const own = await readSystemIdentifier(process.cwd()).catch(() => undefined);
  if (own !== undefined) return own;
  const folders = await repository.folders("postgres");
  const [only] = folders;
  if (only && folders.length === 1) return only.database;
  throw new LifeboatError({
    code: "DATA_DIRECTORY_UNKNOWN",
    kind: "usage",
    message: `which of ${folders.length} clusters is meant cannot be told: there is no global/pg_control in ${process.cwd()}`,
    remedy: "run it in the restored data directory, as the server does",
  });
}

function missing(folder: DatabaseFolder, name: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_MISSING",
    kind: "not-found",
    message: `${folder.logPath(logName(name))} is not there`,
    remedy: "nothing to do: this is how a server learns where the archive ends",
    details: { name },
  });
}

function gone(repository: Repository): LifeboatError {
  return new LifeboatError({
    code: "REPOSITORY_GONE",
    message: `the repository of ${repository.app} in ${repository.storage.description} is gone`,
    remedy: "mount it again; the server asks again by itself when it is started again",
  });
}

function notWal(name: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_NAME_INVALID",
    kind: "usage",
    message: `"${name}" is no name of a WAL file`,
    remedy: "set restore_command = '… wal fetch %f %p'; the server fills in %f and %p",
  });
}
