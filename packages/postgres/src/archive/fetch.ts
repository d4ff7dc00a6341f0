import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type DatabaseFolder, LifeboatError, type Repository } from "@lifeboat/core";
import { readSystemIdentifier } from "../files/system-identifier.ts";
import { startDetached } from "../server/start-detached.ts";
import { archivedFile } from "../wal/archived-file.ts";
import { logName, parseWalFileName } from "../wal/segment-name.ts";
import { hasNext } from "./prefetch.ts";
import { isFaultOfTarget } from "./target-failure.ts";
import { roomFor, SPOOL, WalSpool } from "./wal-spool.ts";

export interface FetchWal {
  readonly repository: Repository;
  /** The server's `%f`. */
  readonly name: string;
  /** The server's `%p`: absolute, or from the data directory, in which the server runs the command. */
  readonly destination: string;
  /**
   * The program and arguments that prefetch, before the segment's name and the spool: for a server that
   * recovers, which runs us in its data directory. It outlives this call.
   */
  readonly prefetchCommand?: readonly string[];
}

const TRIES = 4;
const FIRST_PAUSE_MS = 250;

/**
 * Lays one WAL file at its destination, whole and checked, or leaves nothing there. That there is no
 * such file is said only when {@link archivedFile} has proved it; whatever else goes wrong is tried
 * again and then thrown as what it is.
 * @throws LifeboatError `WAL_MISSING` (kind `not-found`), and no other error of that kind;
 *   `WAL_GAP`, `CHECKSUM_MISMATCH`, `WAL_FOREIGN`, `WAL_UNWRITABLE`, or what the storage threw
 */
export async function fetchWal(request: FetchWal): Promise<void> {
  const { repository, name } = request;
  if (!parseWalFileName(name)) throw notWal(name);
  const folder = repository.folder("postgres", await systemIdentifier(repository));
  for (let attempt = 1; ; attempt++) {
    try {
      await fetchOnce(folder, request);
      return await fetchAhead(folder, request);
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

async function fetchOnce(folder: DatabaseFolder, { name, destination }: FetchWal): Promise<void> {
  const content = await archivedFile(folder, name);
  if (!content) throw missing(folder, name);
  await place(content, destination);
}

/**
 * The first of many segments starts what brings the others: only in a data directory, where there is
 * more to bring, and while nobody does so yet. That nothing could be prefetched is no failure.
 */
async function fetchAhead(folder: DatabaseFolder, request: FetchWal): Promise<void> {
  const { name, destination, prefetchCommand } = request;
  if (!prefetchCommand || parseWalFileName(name)?.kind !== "segment") return;
  try {
    const directory = process.cwd();
    if ((await readSystemIdentifier(directory)) !== folder.database) return;
    const spool = join(directory, SPOOL);
    const { size } = await stat(destination);
    if ((await roomFor(join(directory, "pg_wal"), size)) <= 0) return;
    if (!(await hasNext(folder, name, size)) || (await new WalSpool(spool).isFilled())) return;
    startDetached([...prefetchCommand, name, spool]);
  } catch {
    // What was asked for is there.
  }
}

/** Beside its place, durable, and then under its name: the server never sees half a file. */
async function place(content: AsyncIterable<Uint8Array>, destination: string): Promise<void> {
  // One name for all: what a killed call left is overwritten by the next, and a server makes one at a time.
  const beside = join(dirname(destination), `.${basename(destination)}.lifeboat`);
  try {
    const file = await open(beside, "w", 0o600);
    try {
      // Not write(): on a full disk that may take a part of a chunk and say so only in its answer.
      for await (const chunk of content) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, destination);
  } catch (thrown) {
    await rm(beside, { force: true });
    throw isFaultOfTarget(thrown) ? unwritable(destination, thrown) : thrown;
  }
}

/** Which cluster asks: the server runs us in its data directory. */
async function systemIdentifier(repository: Repository): Promise<string> {
  // Called by hand it may be run anywhere; whose segment it is, is checked as it is read.
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

function unwritable(destination: string, cause: NodeJS.ErrnoException): LifeboatError {
  return new LifeboatError({
    code: "WAL_UNWRITABLE",
    message: `${destination} cannot be written: ${cause.message}`,
    remedy:
      "make room on the server's disk, or let its account write there, and start the server again: it asks again",
    details: { path: destination, system: cause.code ?? null },
    cause,
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
