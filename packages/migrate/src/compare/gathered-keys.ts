import type { Database } from "better-sqlite3";
import { logColumns } from "../capture/row-identity.ts";
import type { PlannedTable } from "../plan.ts";
import {
  boundColumns,
  type KeyRange,
  type KeyTerm,
  loggedTerms,
  spelledKey,
  sqliteRange,
} from "./row-key.ts";
import type { WrittenRows } from "./sides.ts";

/** Keys of one table that a log names, in a temporary table of the connection, in their order: a row for each entry. */
export interface GatheredKeys {
  /** With the columns `seq`, `key`, as both sides spell it, those to be sorted by, and the key's own, `k1`, `k2`, …. */
  readonly relation: string;
  /** To be sorted by in the temporary table. */
  readonly terms: readonly KeyTerm[];
}

/** Makes the table anew, empty. */
export function gatheredKeys(db: Database, number: bigint, table: PlannedTable): GatheredKeys {
  const relation = `temp.lifeboat_written_${number}`;
  const terms = loggedTerms(table).map((term, at) => ({ ...term, sqlite: `o${at + 1}` }));
  const columns = [...terms.map((term) => term.sqlite), ...logColumns(terms.length)].join(", ");
  db.exec(
    `DROP TABLE IF EXISTS ${relation};
     CREATE TEMP TABLE lifeboat_written_${number} (seq INTEGER PRIMARY KEY, key TEXT, ${columns})`,
  );
  return { relation, terms };
}

/** SQL that adds keys: of a relation that has them as `k1`, `k2`, …, and `seq`. */
export function addKeysSql({ relation }: GatheredKeys, table: PlannedTable, from: string): string {
  const terms = loggedTerms(table);
  const values = [...terms.map((term) => term.sqlite), ...logColumns(terms.length)].join(", ");
  return `INSERT INTO ${relation} SELECT seq, ${spelledKey(terms)}, ${values} FROM ${from}`;
}

/** Once what the log held at first is there: millions of keys in no order of theirs are sorted far sooner than put into their places. */
export function indexKeys(db: Database, { relation, terms }: GatheredKeys): void {
  const name = relation.replace("temp.", "");
  const order = terms.map((term) => term.sqlite).join(", ");
  db.exec(
    `CREATE INDEX IF NOT EXISTS ${relation}_order ON ${name} (${order}); CREATE INDEX IF NOT EXISTS ${relation}_key ON ${name} (key)`,
  );
}

/** Those behind an entry of the log. */
export interface KeysSince extends GatheredKeys {
  readonly db: Database;
  readonly after: bigint;
}

/** See `WrittenSince.nthKey`. */
export function nthKey(
  { db, relation, terms, after }: KeysSince,
  range: KeyRange,
  offset: number,
): readonly unknown[] | null {
  const { where, values } = sqliteRange(terms, range);
  const sql = `SELECT ${boundColumns(terms)} FROM (SELECT * FROM ${relation} WHERE seq > ?) ${where}
    ORDER BY ${terms.map((term) => term.sqlite).join(", ")} LIMIT 1 OFFSET ?`;
  const statement = db.prepare<unknown[], unknown[]>(sql).raw();
  return statement.get(after, ...values, BigInt(offset)) ?? null;
}

/**
 * See `WrittenSince.within`. The keys are one text from SQLite to Postgres: as many as 50,000 strings of their own take tens of megabytes
 * before V8 clears up.
 */
export function keysWithin(
  { db, relation, terms, after }: KeysSince,
  range: KeyRange,
  most: number,
): WrittenRows {
  const { where, values } = sqliteRange(terms, range);
  const shown = terms.map((term) => term.input).join(", ");
  const written = `(SELECT * FROM ${relation} WHERE seq > ?) ${where}`;
  const [count, keys] = db
    .prepare<unknown[], [bigint | number, string | null]>(
      `SELECT count(*), group_concat(key, char(10)) FROM (SELECT DISTINCT key FROM ${written})`,
    )
    .raw()
    .get(after, ...values) ?? [0, null];
  const rows = db
    .prepare<unknown[], string[]>(`SELECT DISTINCT key, ${shown} FROM ${written} LIMIT ?`)
    .raw()
    .all(after, ...values, BigInt(most))
    .map(([key = "", ...shown]) => ({ key, shown: shown.join(", ") }));
  return { count: Number(count), keys: keys ?? "", rows };
}

/** See `WrittenSince.among`. */
export function keysAmong(
  { db, relation, after }: KeysSince,
  keys: readonly string[],
): ReadonlySet<string> {
  if (keys.length === 0) return new Set();
  const found = db
    .prepare<[bigint, string], string>(
      `SELECT DISTINCT key FROM ${relation} WHERE seq > ? AND key IN (SELECT value FROM json_each(?))`,
    )
    .pluck()
    .all(after, JSON.stringify(keys));
  return new Set(found);
}
