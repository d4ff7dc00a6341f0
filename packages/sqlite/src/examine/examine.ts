import { constants, type Stats } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isSystemError, LifeboatError } from "@lifeboat/core";
import { whereForbidden } from "../failures.ts";
import type { RawReader } from "../raw/raw-reader.ts";
import { parseWalHeader, WAL_HEADER_BYTES } from "../wal/header.ts";
import { networkFileSystem, roomAt } from "./file-system.ts";
import { type DatabaseHeader, HEADER_BYTES, looksEncrypted, parseHeader } from "./header.ts";
import { superJournalOf } from "./rollback-journal.ts";

/** A database file as it lies, found fit to be backed up. */
export interface Examined {
  /** With all links followed, as SQLite does to find the `-wal`. */
  readonly path: string;
  readonly stat: Stats;
  readonly header: DatabaseHeader;
}

/** Some 1,000 bytes tell encrypted pages from another format. */
const SAMPLE_BYTES = 1024;
/** A writer may be at work on what looks wrong at one glance. */
const GLANCES = 5;
const BETWEEN_GLANCES_MS = 60;

/**
 * Looks at a database without opening a connection to it, and refuses what cannot be backed up right.
 * @throws LifeboatError `DATABASE_MISSING`, `DATABASE_NOT_A_FILE`, `DATABASE_EMPTY`,
 *   `PERMISSION_DENIED`, `NETWORK_FILE_SYSTEM`, `NOT_A_DATABASE`, `DATABASE_ENCRYPTED`,
 *   `WAL_HEADER_INVALID`, `HOT_JOURNAL`
 */
export async function examine(reader: RawReader, configured: string): Promise<Examined> {
  const { path, found } = await locate(configured);
  await assertLocalFileSystem(path);
  await assertAccess(path, constants.R_OK);
  const header = await readHeader(reader, path);
  if (header.wal) await assertWalAccess(path);
  await assertLastingly(() => walFault(reader, path, header.pageSize));
  await assertLastingly(() => journalFault(reader, path));
  return { path, stat: found, header };
}

async function locate(configured: string): Promise<{ path: string; found: Stats }> {
  const path = await realpathOf(configured);
  const found = await stat(path);
  if (!found.isFile())
    throw refusal({
      code: "DATABASE_NOT_A_FILE",
      message: `${configured} is ${found.isDirectory() ? "a directory" : "no regular file"}`,
      remedy: "name the database file itself",
      path: configured,
    });
  if (found.size === 0)
    throw refusal({
      code: "DATABASE_EMPTY",
      message: `${configured} is an empty file`,
      remedy:
        "name the file that the app writes to; SQLite makes an empty one where a path is wrong",
      path: configured,
    });
  // The driver trims what it is given, and would open (or miss) another file.
  const blank = [configured, path].find((name) => name !== name.trim());
  if (blank !== undefined)
    throw refusal({
      code: "DATABASE_NOT_A_FILE",
      message: `${JSON.stringify(blank)} ends in a blank`,
      remedy: "give the file a name without blanks at its end",
      path: configured,
    });
  return { path, found };
}

async function realpathOf(configured: string): Promise<string> {
  try {
    return await realpath(configured);
  } catch (thrown) {
    if (isSystemError(thrown, "EACCES")) throw denied(configured, thrown);
    if (!isSystemError(thrown, "ENOENT") && !isSystemError(thrown, "ENOTDIR")) throw thrown;
    throw refusal({
      code: "DATABASE_MISSING",
      message: `there is no database ${configured}`,
      remedy: "check sqlite.path in the configuration; if the file was lost, run lifeboat restore",
      path: configured,
      cause: thrown,
    });
  }
}

async function assertLocalFileSystem(path: string): Promise<void> {
  const name = networkFileSystem((await roomAt(path)).type);
  if (name === undefined) return;
  throw refusal({
    code: "NETWORK_FILE_SYSTEM",
    message: `${path} lies on a network file system (${name}), where SQLite's locks cannot be relied on`,
    remedy: "run Lifeboat on the machine whose own disk holds the database",
    path,
  });
}

/** Readers of a WAL-mode database lock by writing: the `-shm` beside it, made where it is missing. */
async function assertWalAccess(path: string): Promise<void> {
  await assertAccess(path, constants.R_OK | constants.W_OK);
  for (const file of [`${path}-shm`, `${path}-wal`]) {
    try {
      await access(file, constants.R_OK | constants.W_OK);
    } catch (thrown) {
      if (!isSystemError(thrown, "ENOENT")) throw denied(file, thrown);
      await assertAccess(dirname(path), constants.W_OK | constants.X_OK);
    }
  }
}

async function assertAccess(path: string, mode: number): Promise<void> {
  try {
    await access(path, mode);
  } catch (thrown) {
    throw denied(path, thrown);
  }
}

async function readHeader(reader: RawReader, path: string): Promise<DatabaseHeader> {
  const bytes = await reader.peek(path, 0, SAMPLE_BYTES);
  const header = bytes && parseHeader(bytes.subarray(0, HEADER_BYTES));
  if (header) return header;
  const encrypted = bytes !== undefined && looksEncrypted(bytes);
  throw refusal({
    code: encrypted ? "DATABASE_ENCRYPTED" : "NOT_A_DATABASE",
    message: encrypted
      ? `${path} is no plain SQLite database: it looks encrypted`
      : `${path} is no SQLite database`,
    remedy: encrypted
      ? "Lifeboat cannot back up encrypted pages: use the backup of the product that encrypts them"
      : "name the database file that the app writes to",
    path,
  });
}

async function walFault(
  reader: RawReader,
  path: string,
  pageSize: number,
): Promise<LifeboatError | undefined> {
  const bytes = await reader.peek(`${path}-wal`, 0, WAL_HEADER_BYTES + 1);
  // Nothing after the header: there is no frame to lose.
  if (!bytes || bytes.length <= WAL_HEADER_BYTES) return undefined;
  const header = parseWalHeader(bytes.subarray(0, WAL_HEADER_BYTES), pageSize);
  if (typeof header !== "string") return undefined;
  return refusal({
    code: "WAL_HEADER_INVALID",
    message: `${path}-wal ${header}: SQLite would read it as empty, without a word`,
    remedy:
      "if the app runs and its data is whole, let it write once and try again; else bring back the right -wal file, or restore a backup",
    path,
  });
}

async function journalFault(reader: RawReader, path: string): Promise<LifeboatError | undefined> {
  const journal = await statIfThere(`${path}-journal`);
  if (!journal) return undefined;
  const superJournal = await superJournalOf(reader, path, journal.size);
  if (superJournal === undefined || (await statIfThere(superJournal))) return undefined;
  return refusal({
    code: "HOT_JOURNAL",
    message: `${path}-journal belongs to ${superJournal}, which is missing: SQLite would keep half a transaction`,
    remedy: "bring that file back beside its databases, or restore a backup",
    path,
  });
}

async function assertLastingly(look: () => Promise<LifeboatError | undefined>): Promise<void> {
  for (let glance = 1; ; glance++) {
    const fault = await look();
    if (!fault) return;
    if (glance === GLANCES) throw fault;
    await sleep(BETWEEN_GLANCES_MS);
  }
}

/** A file's state, or undefined where there is none. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return undefined;
    throw thrown;
  }
}

function denied(path: string, cause: unknown): LifeboatError {
  const isReadOnly = isSystemError(cause, "EROFS");
  return refusal({
    code: "PERMISSION_DENIED",
    message: isReadOnly
      ? `${path} lies on a file system that is read-only, and readers of a WAL-mode database lock by writing beside it`
      : `${path} cannot be used by this user: ${(cause as NodeJS.ErrnoException).code}`,
    remedy: isReadOnly
      ? "mount it writable, or copy the file and its -wal elsewhere while nobody writes, and back that copy up"
      : isSystemError(cause, "EPERM")
        ? whereForbidden(path)
        : "run Lifeboat as the database's owner, who can read and write the file and its folder",
    path,
    cause,
  });
}

function refusal(init: {
  code: string;
  message: string;
  remedy: string;
  path: string;
  cause?: unknown;
}): LifeboatError {
  const { path, ...rest } = init;
  return new LifeboatError({ ...rest, details: { path } });
}
