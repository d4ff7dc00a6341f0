/** The product's changes: which row of which table, never what it holds. */
export const LOG_TABLE = "lifeboat_log";
/** One row: whether the product's writes are refused, whose migration it is, and the schema as it was. */
export const STATE_TABLE = "lifeboat_state";
/** How far the file has followed Postgres after a cutover. */
export const FOLLOWED_TABLE = "lifeboat_followed";

const TABLES = [LOG_TABLE, STATE_TABLE, FOLLOWED_TABLE];
const TRIGGERS = /^lifeboat_(?:capture|replace|refuse)_\d+_/;

/** A table of Lifeboat's in the product's database. Any other `lifeboat_…` is the product's own. */
export function isOwnTable(name: string): boolean {
  return TABLES.includes(name);
}

export function isOwnTrigger(name: string): boolean {
  return TRIGGERS.test(name);
}
