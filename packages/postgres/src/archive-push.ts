import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { LifeboatError, type Repository, reasonOf } from "@lifeboat/core";
import { readSystemIdentifier } from "./system-identifier.ts";
import { assertOwnSegment, assertSegmentSize, segmentIdentity } from "./wal/segment-identity.ts";
import { logName, parseWalFileName, type WalFile } from "./wal/segment-name.ts";
import { parseTimelineHistory } from "./wal/timeline-history.ts";

export interface PushWal {
  readonly repository: Repository;
  /** The server's `%p`: absolute, or from the data directory, in which the server runs the command. */
  readonly path: string;
}

/**
 * Stores one file that the server hands to `archive_command`: a segment, a partial one, a timeline
 * history or a backup label. Resolves only when it is durable in the repository. The same file again
 * is fine.
 * @throws LifeboatError `LOG_OBJECT_DIFFERS`, `WAL_INVALID`, `WAL_FOREIGN`, `WAL_UNREADABLE`, or what the storage threw
 */
export async function pushWal({ repository, path }: PushWal): Promise<void> {
  const name = basename(path);
  const file = parseWalFileName(name);
  if (!file) throw notWal(path);
  const content = await readFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const system = await systemOf(path, file, content);
  const folder = repository.folder("postgres", system);
  await folder.storeLog(logName(name), () => once(content));
}

/** Checks that the file is what its name says, and finds out whose it is. */
async function systemOf(path: string, file: WalFile, content: Buffer): Promise<string> {
  const control = await controlIdentifier(path);
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
async function controlIdentifier(path: string): Promise<string | undefined> {
  for (const directory of [process.cwd(), dirname(dirname(path))]) {
    const found = await readSystemIdentifier(directory).catch(() => undefined);
    if (found !== undefined) return found;
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
