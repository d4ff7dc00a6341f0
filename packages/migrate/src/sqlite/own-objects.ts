import type { Database } from "better-sqlite3";

/** The product's changes: which row of which table, never what it holds. */
export const LOG_TABLE = "lifeboat_log";
/** One row: whether the product's writes are refused, whose migration it is, and the schema as it was. */
export const STATE_TABLE = "lifeboat_state";
/** How far the file has followed Postgres after a cutover. */
export const FOLLOWED_TABLE = "lifeboat_followed";

export const OWN_TABLES: readonly string[] = [LOG_TABLE, STATE_TABLE, FOLLOWED_TABLE];
const TRIGGERS = /^lifeboat_(?:capture|replace|refuse)_\d+_/;

/** Whether Lifeboat has made anything in the database. Without it even a table of such a name is the product's. */
export function hasOwnObjects(db: Database): boolean {
  const sql = `SELECT 1 FROM pragma_table_info('${STATE_TABLE}') WHERE name = 'refused'`;
  return db.prepare(sql).get() !== undefined;
}

/** A table of Lifeboat's, where it has made any. Any other `lifeboat_…` is the product's own. */
export function isOwnTable(name: string): boolean {
  return OWN_TABLES.includes(name);
}

export function isOwnTrigger(name: string): boolean {
  return TRIGGERS.test(name);
}
