import { dirname } from "node:path";
import { type Finding, LifeboatError } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import type { ConfiguredDatabase } from "./configured-database.ts";
import { type Examined, examine } from "./examine/examine.ts";
import { mayBeRemote, roomAt } from "./examine/file-system.ts";
import { lockedExclusivelyBy } from "./examine/locked-exclusively.ts";
import { walStateOf } from "./examine/wal-state.ts";
import { walBytes } from "./examine/wal-watch.ts";
import { RawReader } from "./raw/raw-reader.ts";

const LARGE_WAL_BYTES = 64 << 20;
/** A WAL that its app checkpoints as SQLite does by default stays at some 4 MiB. */
const HELD_WAL_BYTES = 16 << 20;
const LITTLE_ROOM_BYTES = 64 << 20;

/** What stands in the way of good backups of these databases. Opens no connection to any of them. */
export async function inspectDatabases(
  databases: readonly ConfiguredDatabase[],
): Promise<readonly Finding[]> {
  const reader = new RawReader();
  try {
    const findings: Finding[] = [];
    for (const database of databases) findings.push(...(await inspectOne(reader, database)));
    if (databases.length > 1) findings.push(eachForItself(databases));
    return findings;
  } finally {
    await reader.close();
  }
}

async function inspectOne(reader: RawReader, { path }: ConfiguredDatabase): Promise<Finding[]> {
  try {
    const examined = await examine(reader, path);
    const findings = [
      rollbackJournal(examined),
      await lockedOut(examined),
      foreignOwner(examined),
      await maybeRemote(examined),
      await largeWal(examined),
      await heldWal(reader, examined),
      await littleRoom(examined),
    ];
    return findings.filter((finding) => finding !== undefined);
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [asFinding(thrown)];
  }
}

/** What `examine` refuses, as a finding: `DATABASE_MISSING` → `sqlite-database-missing`. */
function asFinding({ code, message, remedy }: LifeboatError): Finding {
  const id = `sqlite-${code.toLowerCase().replaceAll("_", "-")}`;
  return { id, severity: "error", summary: message, remedy };
}

function rollbackJournal({ path, header }: Examined): Finding | undefined {
  if (header.wal) return undefined;
  return {
    id: "sqlite-rollback-journal",
    severity: "warning",
    summary: `${path} is not in WAL mode: nobody can commit while it is copied`,
    remedy: `switch it to WAL once, with the app stopped: sqlite3 ${shellWord(path)} "PRAGMA journal_mode=WAL"`,
  };
}

async function lockedOut({ path, header }: Examined): Promise<Finding | undefined> {
  const pid = header.wal ? await lockedExclusivelyBy(path) : undefined;
  if (pid === undefined) return undefined;
  return {
    id: "sqlite-locked-exclusively",
    severity: "error",
    summary: `process ${pid} keeps everybody else out of ${path} (PRAGMA locking_mode = EXCLUSIVE)`,
    remedy: `let the app use locking_mode = NORMAL, or back up while it is stopped (ps -fp ${pid} shows it)`,
  };
}

/** Whoever opens a WAL-mode database first makes its `-wal` and `-shm`, as files of their own. */
function foreignOwner({ path, stat, header }: Examined): Finding | undefined {
  const self = process.getuid?.();
  if (self === undefined || self === 0 || self === stat.uid || !header.wal) return undefined;
  return {
    id: "sqlite-foreign-owner",
    severity: "warning",
    summary: `${path} belongs to user ${stat.uid}, Lifeboat runs as ${self}: an app that starts during a backup may find a -wal that it cannot write`,
    remedy: "run Lifeboat as the database's owner or as root",
  };
}

async function maybeRemote({ path }: Examined): Promise<Finding | undefined> {
  if (!mayBeRemote((await roomAt(path)).type)) return undefined;
  return {
    id: "sqlite-maybe-network-file-system",
    severity: "warning",
    summary: `${path} lies on a file system that may belong to another machine (FUSE or 9p)`,
    remedy:
      "make sure that nothing on another machine writes to it: SQLite's locks may not reach there",
  };
}

async function largeWal({ path }: Examined): Promise<Finding | undefined> {
  const bytes = await walBytes(path);
  if (bytes < LARGE_WAL_BYTES) return undefined;
  return {
    id: "sqlite-wal-large",
    severity: "warning",
    summary: `${path}-wal has ${bytes} bytes`,
    remedy: `it is reused but never gets smaller by itself; let the app run "PRAGMA wal_checkpoint(TRUNCATE)" or set journal_size_limit`,
  };
}

async function heldWal(reader: RawReader, examined: Examined): Promise<Finding | undefined> {
  const { path, header } = examined;
  const state = header.wal ? await walStateOf(reader, path) : undefined;
  const bytes = state ? state.behindPages * header.pageSize : 0;
  if (!state || bytes < HELD_WAL_BYTES) return undefined;
  const readers = state.readers.length > 0 ? `: processes ${state.readers.join(", ")} read it` : "";
  return {
    id: "sqlite-wal-held",
    severity: "warning",
    summary: `${bytes} bytes of ${path}-wal are not checkpointed${readers}`,
    remedy:
      "a lifeboat watch among them copies it back by itself; end others' transactions that stay open for long, and leave wal_autocheckpoint on: until then backups go the slower way",
  };
}

async function littleRoom({ path, stat }: Examined): Promise<Finding | undefined> {
  const { freeBytes } = await roomAt(dirname(path));
  const low = freeBytes < LITTLE_ROOM_BYTES;
  if (!low && freeBytes >= stat.size * 1.1 + LITTLE_ROOM_BYTES) return undefined;
  return {
    id: low ? "sqlite-disk-full" : "sqlite-no-room-for-copy",
    severity: low ? "error" : "info",
    summary: `the disk of ${path} has ${freeBytes} bytes free`,
    remedy: low
      ? "free some space: the app itself will soon fail to write"
      : "a raw copy does not fit beside the database: the temporary folder is used, or the file is held until it is stored",
  };
}

function eachForItself(databases: readonly ConfiguredDatabase[]): Finding {
  return {
    id: "sqlite-several-databases",
    severity: "info",
    summary: `${databases.length} databases are backed up one after the other, each consistent in itself`,
    remedy:
      "nothing, unless the app commits across them by ATTACH: then keep what must agree in one file",
  };
}
