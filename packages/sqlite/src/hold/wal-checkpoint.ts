import type { Connection } from "../driver.ts";

/** How far the WAL is copied back into the database file, in pages. */
export interface WalProgress {
  /** A checkpoint of somebody else is under way. */
  readonly busy: boolean;
  readonly logged: number;
  readonly checkpointed: number;
}

/** The kinds that wait for nobody and keep nobody waiting (sqlite.org/pragma.html#pragma_wal_checkpoint); NOOP only tells. */
export function walCheckpoint(connection: Connection, kind: "PASSIVE" | "NOOP"): WalProgress {
  const [row] = connection.pragma(`wal_checkpoint(${kind})`) as {
    busy: number;
    log: number;
    checkpointed: number;
  }[];
  if (!row) throw new Error(`wal_checkpoint(${kind}) gave no row`);
  return { busy: row.busy !== 0, logged: row.log, checkpointed: row.checkpointed };
}
