import { basename, dirname, join } from "node:path";
import {
  type DatabaseFolder,
  LifeboatError,
  type Repository,
  reasonOf,
  release,
} from "@lifeboat/core";
import { orGiveUp } from "./given-up-wal.ts";
import { ownerOf, readOwned } from "./owned-file.ts";
import { startAhead } from "./push-ahead.ts";
import { readSystemIdentifier } from "./system-identifier.ts";
import { unarchivedHistory } from "./unarchived-history.ts";
import { assertOwnSegment, assertSegmentSize, segmentIdentity } from "./wal/segment-identity.ts";
import { logName, mostBytesOf, parseWalFileName, type WalFile } from "./wal/segment-name.ts";
import { parseTimelineHistory } from "./wal/timeline-history.ts";

export interface PushWal {
  /** Or what opens it: one that is away is no reason to give up only when it is known how much waits. */
  readonly repository: Repository | (() => Promise<Repository>);
  /** The server's `%p`: absolute, or from the data directory, in which the server runs the command. */
  readonly path: string;
  /** Bytes of WAL that may wait for a repository that takes none, before the database goes first. */
  readonly maxBacklog?: number | undefined;
  /**
   * The program and arguments that push ahead of the archiver where it lags, before the data directory; it outlives this
   * call.
   */
  readonly aheadCommand?: readonly string[];
}

/**
 * Stores one file that the server hands to `archive_command`: a segment, a partial one, a timeline
 * history or a backup label; and the history of its timeline where the server never will. Resolves only when it is durable in
 * the repository. The same file again is fine.
 *
 * With a bound on what may wait, a file that the repository does not take is given up once the
 * bound is passed, and that is noted where the server's own files lie.
 * @throws LifeboatError `LOG_OBJECT_DIFFERS`, `WAL_INVALID`, `WAL_FOREIGN`, `WAL_UNREADABLE`, or what the storage threw
 */
export async function pushWal(request: PushWal): Promise<void> {
  const { repository, path, maxBacklog, aheadCommand } = request;
  const directory = await dataDirectoryOf(path);
  const read = await readWalFile(path, directory);
  const system = await systemOf(path, read, directory);
  const store = async () => {
    const opened = typeof repository === "function" ? await repository() : repository;
    await storeWithHistory(opened.folder("postgres", system), path, directory, read);
  };
  if (directory === undefined) return store();
  if (maxBacklog === undefined) await store();
  else
    await orGiveUp(store, { directory, name: read.name, bytes: read.content.length, maxBacklog });
  if (aheadCommand) await startAhead(directory, path, aheadCommand);
}

/**
 * The same for a process that pushes for a server all the time, into its cluster's folder.
 * @param path below `pg_wal` of the data directory
 */
export async function pushInto(
  folder: DatabaseFolder,
  place: {
    readonly directory: string;
    readonly name: string;
    readonly maxBacklog?: number | undefined;
  },
): Promise<void> {
  const { directory, name, maxBacklog } = place;
  const path = join(directory, "pg_wal", name);
  const read = await readWalFile(path, directory);
  try {
    const system = await systemOf(path, read, directory);
    if (system !== folder.database) throw otherCluster(path, system, folder.database);
    const store = async () => storeWithHistory(folder, path, directory, read);
    if (maxBacklog === undefined) return await store();
    await orGiveUp(store, { directory, name, bytes: read.content.length, maxBacklog });
  } finally {
    // The next segment gets the same: fresh memory for each costs as much as its digest.
    release(read.content);
  }
}

interface ReadFile {
  readonly name: string;
  readonly file: WalFile;
  readonly content: Buffer;
}

/** Out of a folder in which the server's account writes, and we may be root. */
async function readWalFile(path: string, directory: string | undefined): Promise<ReadFile> {
  const name = basename(path);
  const file = parseWalFileName(name);
  if (!file) throw notWal(path);
  try {
    const owner = await ownerOf(directory ?? dirname(path));
    const content = await readOwned(path, { owner, mostBytes: mostBytesOf(file) });
    return { name, file, content };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The history first: a segment of a timeline that nobody knows is of no use. */
async function storeWithHistory(
  folder: DatabaseFolder,
  path: string,
  directory: string | undefined,
  read: ReadFile,
): Promise<void> {
  const history = unarchivedHistory(path, read.file);
  if (history !== undefined) {
    const found = await readWalFile(history, directory);
    parseTimelineHistory(found.content.toString(), found.file.timeline, history);
    await storeWalFile(folder, found);
  }
  await storeWalFile(folder, read);
}

async function storeWalFile(folder: DatabaseFolder, { name, content }: ReadFile): Promise<void> {
  await folder.storeLog(logName(name), () => once(content));
}

/** Checks that the file is what its name says, and finds out whose it is. */
async function systemOf(
  path: string,
  { file, content }: ReadFile,
  directory: string | undefined,
): Promise<string> {
  const control = directory === undefined ? undefined : await readSystemIdentifier(directory);
  if (file.kind === "segment" || file.kind === "partial") {
    const identity = segmentIdentity(content, file, path);
    assertSegmentSize(content.length, identity, path);
    if (control !== undefined) assertOwnSegment(identity, control, path);
    return identity.systemIdentifier;
  }
  if (file.kind === "history") parseTimelineHistory(content.toString(), file.timeline, path);
  if (control === undefined) throw noDataDirectory(path);
  return control;
}

/** The data directory is where the server runs us; called by hand, it is the one that the path lies in. */
async function dataDirectoryOf(path: string): Promise<string | undefined> {
  for (const directory of [process.cwd(), dirname(dirname(path))]) {
    const found = await readSystemIdentifier(directory).catch(() => undefined);
    if (found !== undefined) return directory;
  }
  return undefined;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function notWal(path: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_NAME_INVALID",
    kind: "usage",
    message: `${path} has no name that the server gives to a WAL file`,
    remedy: "set archive_command = '… wal push %p'; the server fills in %p",
  });
}

function unreadable(path: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "WAL_UNREADABLE",
    message: `cannot read ${path}: ${reasonOf(cause)}`,
    remedy: "run it in the data directory as the server does, with %p as the path",
    cause,
  });
}

function noDataDirectory(path: string): LifeboatError {
  return new LifeboatError({
    code: "DATA_DIRECTORY_UNKNOWN",
    kind: "usage",
    message: `whose ${basename(path)} is cannot be told: there is no global/pg_control in ${process.cwd()}`,
    remedy: "run it in the data directory, as the server does",
  });
}

function otherCluster(path: string, found: string, expected: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_FOREIGN",
    kind: "refused",
    message: `${path} comes from the cluster ${found}, not from ${expected}`,
    remedy: "start lifeboat watch again, for the cluster that is there now",
    details: { found, expected },
  });
}
