import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type DatabaseFolder, LifeboatError, type Repository, reasonOf } from "@lifeboat/core";
import { type OwnedFile, openOwned, ownerOf } from "../files/owned-file.ts";
import { readSystemIdentifier } from "../files/system-identifier.ts";
import {
  assertOwnSegment,
  assertSegmentSize,
  IDENTITY_BYTES,
  segmentIdentity,
} from "../wal/segment-identity.ts";
import { logName, mostBytesOf, parseWalFileName, type WalFile } from "../wal/segment-name.ts";
import { parseTimelineHistory } from "../wal/timeline-history.ts";
import { orGiveUp } from "./given-up-wal.ts";
import { startAhead } from "./start-ahead.ts";
import { unarchivedHistory } from "./unarchived-history.ts";

/** As much as one frame holds. */
const PIECE_BYTES = 1 << 20;

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
  const opened = await openWalFile(path, directory);
  try {
    const system = await systemOf(path, opened, directory);
    const store = async () => {
      const into = typeof repository === "function" ? await repository() : repository;
      await storeWithHistory(into.folder("postgres", system), path, directory, opened);
    };
    if (directory === undefined) return await store();
    if (maxBacklog === undefined) await store();
    else await orGiveUp(store, { directory, name: opened.name, maxBacklog });
  } finally {
    await opened.handle.close();
  }
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
  const opened = await openWalFile(path, directory);
  try {
    const system = await systemOf(path, opened, directory);
    if (system !== folder.database) throw otherCluster(path, system, folder.database);
    const store = async () => storeWithHistory(folder, path, directory, opened);
    if (maxBacklog === undefined) return await store();
    await orGiveUp(store, { directory, name, maxBacklog });
  } finally {
    await opened.handle.close();
  }
}

interface WalFileToPush extends OwnedFile {
  /** For messages. */
  readonly path: string;
  readonly name: string;
  readonly file: WalFile;
}

/** Out of a folder in which the server's account writes, and we may be root. */
async function openWalFile(path: string, directory: string | undefined): Promise<WalFileToPush> {
  const name = basename(path);
  const file = parseWalFileName(name);
  if (!file) throw notWal(path);
  try {
    const owner = await ownerOf(directory ?? dirname(path));
    return { path, name, file, ...(await openOwned(path, owner, mostBytesOf(file))) };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The history first: a segment of a timeline that nobody knows is of no use. */
async function storeWithHistory(
  folder: DatabaseFolder,
  path: string,
  directory: string | undefined,
  opened: WalFileToPush,
): Promise<void> {
  const history = unarchivedHistory(path, opened.file);
  if (history !== undefined) await storeHistory(folder, history, directory);
  await storeWalFile(folder, opened);
}

async function storeHistory(
  folder: DatabaseFolder,
  path: string,
  directory: string | undefined,
): Promise<void> {
  const opened = await openWalFile(path, directory);
  try {
    const content = String(await beginningOf(opened, opened.bytes));
    parseTimelineHistory(content, opened.file.timeline, path);
    await storeWalFile(folder, opened);
  } finally {
    await opened.handle.close();
  }
}

async function storeWalFile(folder: DatabaseFolder, opened: WalFileToPush): Promise<void> {
  await folder.storeLog(logName(opened.name), () => contentOf(opened));
}

/** Checks that the file is what its name says, and finds out whose it is. */
async function systemOf(
  path: string,
  opened: WalFileToPush,
  directory: string | undefined,
): Promise<string> {
  const { file, bytes } = opened;
  const control = directory === undefined ? undefined : await readSystemIdentifier(directory);
  if (file.kind === "segment" || file.kind === "partial") {
    const identity = segmentIdentity(await beginningOf(opened, IDENTITY_BYTES), file, path);
    assertSegmentSize(bytes, identity, path);
    if (control !== undefined) assertOwnSegment(identity, control, path);
    return identity.systemIdentifier;
  }
  if (file.kind === "history")
    parseTimelineHistory(String(await beginningOf(opened, bytes)), file.timeline, path);
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

async function beginningOf({ handle, path }: WalFileToPush, bytes: number): Promise<Buffer> {
  const memory = Buffer.alloc(bytes);
  const count = await readInto(memory, handle, 0).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return memory.subarray(0, count);
}

/** Memory that is read into again and again: what is digested and compressed next stays in the core's cache. */
const spares: Buffer[] = [];

/**
 * What was measured when it was opened, however it grows. A piece is good until the next is asked for.
 *
 * A repository may take minutes. Whoever asked has turned to another program by then, and once that has stored the file, or
 * given it up, the server writes later WAL into the same one: what is read of both is nothing to be stored.
 */
async function* contentOf(opened: WalFileToPush): AsyncGenerator<Uint8Array> {
  const { handle, bytes, path } = opened;
  const memory = spares.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
  try {
    for (let at = 0; at < bytes; ) {
      const part = memory.subarray(0, Math.min(PIECE_BYTES, bytes - at));
      // Told apart from a fault of the repository, into which it is read: only for that may WAL be given up.
      const count = await readInto(part, handle, at).catch((cause: unknown) => {
        throw unreadable(path, cause);
      });
      if (count === 0) throw unreadable(path, new Error("it became shorter while it was read"));
      yield memory.subarray(0, count);
      at += count;
    }
    const { mtimeMs } = await handle.stat();
    if (mtimeMs !== opened.modifiedMs)
      throw unreadable(path, new Error("it was written to while it was read"));
  } finally {
    spares.push(memory);
  }
}

/** @returns how much there was */
async function readInto(memory: Buffer, handle: FileHandle, at: number): Promise<number> {
  for (let read = 0; ; ) {
    const { bytesRead } = await handle.read(memory, read, memory.length - read, at + read);
    read += bytesRead;
    if (bytesRead === 0 || read === memory.length) return read;
  }
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
