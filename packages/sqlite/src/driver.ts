import { LifeboatError, reasonOf } from "@lifeboat/core";
import Database from "better-sqlite3";

export type Connection = Database.Database;

/** How long one statement waits for a lock before it gives the event loop back. */
const TRY_MS = 100;
const BETWEEN_TRIES_MS = 20;

/**
 * Opens a database that is there. The connection never checkpoints by itself and maps nothing into
 * memory. While one is open in this process, nothing else here may open that file
 * (sqlite.org/howtocorrupt.html, 2.2).
 */
export function connect(path: string, options: { readonly readonly: boolean }): Connection {
  const { readonly } = options;
  const connection = new Database(path, { fileMustExist: true, readonly, timeout: TRY_MS });
  try {
    connection.pragma("mmap_size = 0");
    connection.pragma("wal_autocheckpoint = 0");
    return connection;
  } catch (thrown) {
    connection.close();
    throw thrown;
  }
}

/** Opens a read transaction and takes its snapshot now; BEGIN alone would take it at the first read. */
export function beginRead(connection: Connection): void {
  connection.exec("BEGIN");
  try {
    connection.prepare("SELECT count(*) FROM sqlite_schema").get();
  } catch (thrown) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw thrown;
  }
}

/** The number that a pragma gives. */
export function pragmaNumber(connection: Connection, name: string): number {
  return Number(connection.pragma(name, { simple: true }));
}

export function isBusy(thrown: unknown): boolean {
  return thrown instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(thrown.code);
}

/** Tries until it is no longer busy or the patience is over, then throws what was thrown last. */
export async function patiently<T>(
  patienceMs: number,
  signal: AbortSignal,
  attempt: () => T,
): Promise<T> {
  const until = Date.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      return attempt();
    } catch (thrown) {
      if (!isBusy(thrown) || Date.now() >= until) throw thrown;
    }
    await pause();
  }
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, BETWEEN_TRIES_MS));
}

/** What SQLite threw, as an error that says what to do; anything else is given back as it is. */
export function databaseFailure(path: string, thrown: unknown): unknown {
  if (!(thrown instanceof Database.SqliteError)) return thrown;
  const said = `${thrown.code}: ${reasonOf(thrown)}`;
  const known = FAILURES.find(([pattern]) => pattern.test(said));
  const [, code, what, remedy] = known ?? OTHER_FAILURE;
  return new LifeboatError({
    code,
    message: `${path} ${what} (${said})`,
    remedy,
    details: { path, sqlite: thrown.code },
    cause: thrown,
  });
}

const OTHER_FAILURE = [
  null,
  "DATABASE_FAILED",
  "cannot be used",
  "try it with the sqlite3 program, which will say the same with more words around it",
] as const;

const FAILURES: readonly (readonly [RegExp, string, string, string])[] = [
  [
    /^SQLITE_READONLY_ROLLBACK/,
    "HOT_JOURNAL",
    "has a hot journal that cannot be rolled back without the right to write",
    "run Lifeboat as the database's owner, or let the app open it once",
  ],
  [
    /^SQLITE_(BUSY|LOCKED)/,
    "DATABASE_LOCKED",
    "is locked by another process",
    "wait for its transaction to end; an app with locking_mode = EXCLUSIVE must be stopped first",
  ],
  [
    /^SQLITE_NOTADB|unsupported file format/,
    "DATABASE_ENCRYPTED",
    "cannot be read: its pages are encrypted, or it is damaged",
    "encrypted databases cannot be backed up by Lifeboat; if it is not encrypted, restore a backup",
  ],
  [
    /^SQLITE_CORRUPT/,
    "DATABASE_CORRUPT",
    "is damaged",
    "restore a backup beside it and compare (lifeboat restore --to DIR)",
  ],
  [
    /^SQLITE_(READONLY|PERM|AUTH|CANTOPEN)/,
    "PERMISSION_DENIED",
    "cannot be opened",
    "run Lifeboat as the database's owner, who can write the file and its folder",
  ],
  [
    /^SQLITE_FULL/,
    "NO_SPACE",
    "has no space left on its file system",
    "free some space and run it again",
  ],
  [
    /^SQLITE_IOERR/,
    "DATABASE_IO",
    "cannot be read or written",
    "look at the disk and its file system",
  ],
];
