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

/** SQLite maps no more than this of a file. */
const MAPPED_BYTES = 0x7fff0000;

/**
 * Runs `work` on a copy that is ours alone, read where it lies in the page cache. A check of all of it looks up each row in
 * each index, and a call of the kernel's for each page that is not in SQLite's own cache is half of what it costs.
 */
export function withFileMapped<T>(connection: Connection, work: () => T): T {
  connection.pragma(`mmap_size = ${MAPPED_BYTES}`);
  try {
    return work();
  } finally {
    connection.pragma("mmap_size = 0");
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

/** @param code such as `SQLITE_CANTOPEN`, with what is told more exactly of it; any when left out */
export function isSqliteError(thrown: unknown, code = "SQLITE_"): boolean {
  return thrown instanceof Database.SqliteError && thrown.code.startsWith(code);
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
  const until = performance.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      return attempt();
    } catch (thrown) {
      if (!isBusy(thrown) || performance.now() >= until) throw thrown;
    }
    await pause();
  }
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, BETWEEN_TRIES_MS));
}
