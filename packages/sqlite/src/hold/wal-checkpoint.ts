import { type Connection, isSqliteError } from "../driver.ts";

/** How far the WAL is copied back into the database file, in pages. */
export interface WalProgress {
  /** A checkpoint of somebody else is under way. */
  readonly busy: boolean;
  readonly logged: number;
  readonly checkpointed: number;
}

/**
 * Copies back what it can. It waits for nobody and keeps nobody waiting (sqlite.org/pragma.html#pragma_wal_checkpoint). On a full disk, on which the
 * file cannot grow, all stays in the WAL: nothing is lost by that, and the copy by the backup API needs no room there.
 */
export function copyBack(connection: Connection): WalProgress {
  try {
    return ask(connection, "PASSIVE");
  } catch (thrown) {
    if (!isSqliteError(thrown, "SQLITE_FULL")) throw thrown;
    return progressOf(connection);
  }
}

/** How far it is copied back, without doing anything. */
export function progressOf(connection: Connection): WalProgress {
  return ask(connection, "NOOP");
}

function ask(connection: Connection, kind: "PASSIVE" | "NOOP"): WalProgress {
  const [row] = connection.pragma(`wal_checkpoint(${kind})`) as {
    busy: number;
    log: number;
    checkpointed: number;
  }[];
  if (!row) throw new Error(`wal_checkpoint(${kind}) gave no row`);
  return { busy: row.busy !== 0, logged: row.log, checkpointed: row.checkpointed };
}
