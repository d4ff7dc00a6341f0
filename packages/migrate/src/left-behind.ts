import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { type Refusal, refusalOf } from "./freeze.ts";
import type { TargetAddress } from "./request.ts";
import { sourceError } from "./source-error.ts";
import { hasOwnObjects, LOG_TABLE } from "./sqlite/own-objects.ts";
import { askTarget } from "./target/ask-target.ts";
import { serverError } from "./target/target-error.ts";

/** What a migration keeps in a SQLite database. */
export interface LeftInSqlite {
  /** How the product's writes are refused; null where they are taken. */
  readonly refusal: Refusal | null;
  /** Entries of the log, about. */
  readonly logged: number;
}

/**
 * By the file alone; null where nothing of a migration is in it, or it is not there.
 * @throws LifeboatError `SQLITE_UNREADABLE`, `SQLITE_BUSY` and what else keeps a file from being read
 */
export function leftInSqlite(path: string): LeftInSqlite | null {
  if (!existsSync(path)) return null;
  try {
    return readLeft(path);
  } catch (cause) {
    throw sourceError(cause);
  }
}

function readLeft(path: string): LeftInSqlite | null {
  const db = new Database(path, { readonly: true, timeout: 10_000 });
  try {
    if (!hasOwnObjects(db)) return null;
    // Counted by its ends, since it may be long.
    const log = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(LOG_TABLE);
    const entries = `SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM ${LOG_TABLE}`;
    return {
      refusal: refusalOf(db),
      logged: log === undefined ? 0 : Number(db.prepare(entries).pluck().get()),
    };
  } finally {
    db.close();
  }
}

/** By the catalog, for which no right is needed: a role that only takes backups has none on what the migration's made. */
const KEPT = `
  SELECT pg_total_relation_size(c.oid) AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'lifeboat' AND c.relname = 'changes'`;

/**
 * Bytes of the changes that Postgres keeps for the way back to SQLite; null where it keeps none.
 * @throws LifeboatError where Postgres can't be asked
 */
export async function keptForTheWayBack(
  address: TargetAddress,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const { rows } = await askTarget(address, signal, (client) =>
      client.query<{ bytes: string | null }>(KEPT),
    );
    const bytes = rows[0]?.bytes ?? null;
    return bytes === null ? null : Number(bytes);
  } catch (cause) {
    throw serverError(cause);
  }
}
