import { lstat, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  type DatabaseFolder,
  type Finding,
  foldersBelow,
  isSystemError,
  LifeboatError,
  reasonOf,
  syncDirectory,
} from "@lifeboat/core";
import { shellAsOwner } from "../files/as-owner.ts";
import { openOwned, ownerOf, readOwned } from "../files/owned-file.ts";
import { parseWalFileName } from "../wal/segment-name.ts";

/** Names the files that were given up, one a line; in `pg_wal`, where it goes with the data directory. */
const NOTE = "lifeboat.given-up";

/** Half a million segments: far more than any bound on what may wait. */
const LONGEST_NOTE = 16 << 20;

/** A failure, and none of the repository: what cannot be read here is not given up for it. */
const FAULT_OF_FILE = "WAL_UNREADABLE";

interface Waiting {
  /** The data directory. */
  readonly directory: string;
  readonly name: string;
  readonly maxBacklog: number;
}

/**
 * Stores, or gives the file up when more WAL waits than may: the database stays alive, and the archive has a
 * hole, which is noted before the server is told that it may remove the file.
 */
export async function orGiveUp(store: () => Promise<void>, waiting: Waiting): Promise<void> {
  try {
    await store();
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError) || thrown.kind !== "failed") throw thrown;
    if (thrown.code === FAULT_OF_FILE || (await backlogBytes(waiting)) <= waiting.maxBacklog)
      throw thrown;
    await noteGivenUp(waiting);
  }
}

/** Of the files that the server has marked as ready: segments, and among them a history or label of a few bytes. */
async function backlogBytes({ directory }: Waiting): Promise<number> {
  const names = await readdir(join(directory, "pg_wal", "archive_status"));
  const waiting = names.filter((name) => name.endsWith(".ready"));
  const sizes = waiting.map((name) =>
    sizeOf(join(directory, "pg_wal", name.slice(0, -".ready".length))),
  );
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

async function sizeOf(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() ? found.size : 0;
}

async function noteGivenUp({ directory, name }: Waiting): Promise<void> {
  const path = resolve(directory, "pg_wal", NOTE);
  await shellAsOwner(directory, 'umask 077; cat >> "$1"', [path], `${name}\n`);
  const { handle } = await openOwned(path, await ownerOf(directory));
  await handle.sync().finally(() => handle.close());
  await syncDirectory(join(directory, "pg_wal"));
}

export interface GivenUp {
  readonly count: number;
  readonly first: string;
  readonly last: string;
  /** Of the last. */
  readonly at: Date;
}

/**
 * What was given up since the note was last removed. Names that no server gives are passed over: the note lies where
 * the server's account writes.
 * @param directory the data directory
 * @throws LifeboatError `WAL_UNREADABLE` when it is no file of that account
 */
export async function readGivenUp(directory: string): Promise<GivenUp | undefined> {
  const path = join(directory, "pg_wal", NOTE);
  let lines: string[];
  let at: Date;
  try {
    const owner = await ownerOf(directory);
    const content = await readOwned(path, { owner, mostBytes: LONGEST_NOTE });
    lines = content.toString("latin1").split("\n");
    at = (await lstat(path)).mtime;
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return undefined;
    throw unreadableNote(path, thrown);
  }
  const names = lines.filter((line) => parseWalFileName(line) !== undefined);
  const [first] = names;
  const last = names.at(-1);
  return first && last ? { count: names.length, first, last, at } : undefined;
}

/** The hole is closed: a backup begins behind it. */
export async function forgetGivenUp(directory: string): Promise<void> {
  await rm(join(directory, "pg_wal", NOTE), { force: true });
}

/** The alert of what was given up, until a backup was begun after it. */
export async function givenUpFinding(
  directory: string,
  folder: DatabaseFolder | null,
): Promise<Finding[]> {
  const given = await readGivenUp(directory);
  if (!given || (folder && (await isClosed(folder, given.at)))) return [];
  const { count, first, last } = given;
  return [
    {
      id: "wal-given-up",
      severity: "error",
      summary: `${count} WAL files were given up, from ${first} to ${last}, since the repository took none and archive.maxBacklog was passed: no recovery gets past them`,
      remedy:
        "lifeboat backup, as soon as the repository can be written to (lifeboat watch does so by itself)",
    },
  ];
}

/** A repository that cannot be asked has closed no hole as far as anybody knows. */
async function isClosed(folder: DatabaseFolder, at: Date): Promise<boolean> {
  return backedUpSince(folder, at).catch((thrown: unknown) => {
    if (thrown instanceof LifeboatError) return false;
    throw thrown;
  });
}

/** Ids begin with the instant at which the backup began. */
async function backedUpSince({ storage, path }: DatabaseFolder, at: Date): Promise<boolean> {
  const since = at.toISOString().replaceAll(/[-:]/g, "");
  for (const id of await foldersBelow(storage, `${path}/backups/`))
    if (id > since && (await storage.stat(`${path}/backups/${id}/manifest.json`))) return true;
  return false;
}

function unreadableNote(path: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "WAL_UNREADABLE",
    message: `${path}, where given-up WAL is noted, cannot be read: ${reasonOf(cause)}`,
    remedy: "find out who put it there, remove it, and take a full backup (lifeboat backup)",
    details: { path },
    cause,
  });
}
