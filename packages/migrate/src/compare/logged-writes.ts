import type { Database } from "better-sqlite3";
import { logEnd, reachesBackTo } from "../capture/change-log.ts";
import { identityColumns, logColumns } from "../capture/row-identity.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import type { PlannedTable } from "../plan.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { boundColumns, type KeyRange, sqliteRange } from "./row-key.ts";
import type { WrittenRows, WrittenSince } from "./sides.ts";
import type { WrittenKeys } from "./written-keys.ts";

/** What the log of one snapshot of SQLite names behind a watermark. */
export class LoggedWrites implements WrittenSince {
  readonly #db: Database;
  readonly #keys: WrittenKeys;
  readonly #watermark: bigint;
  readonly #isWhole: boolean;

  /**
   * @param db in the transaction whose snapshot is read
   * @param keys of that connection; handed from one snapshot to the next, with a watermark that only goes on
   */
  constructor(db: Database, keys: WrittenKeys, watermark: bigint) {
    this.#db = db;
    this.#keys = keys;
    this.#watermark = watermark;
    this.#isWhole = reachesBackTo(db, watermark);
  }

  /** Rowids may be others than those that the log names, once the file was written anew. */
  isKnown(table: PlannedTable): boolean {
    return this.#isWhole && (!isToldByRowid(table) || schemaSince(this.#db) === "same");
  }

  any(table: PlannedTable): boolean {
    return this.#keys.any(table, this.#watermark);
  }

  count(table: PlannedTable): number {
    const identity = logColumns(identityColumns(table).length).join(", ");
    const sql = `SELECT count(*) FROM (SELECT DISTINCT ${identity} FROM ${LOG_TABLE} WHERE seq > ? AND tbl = ?)`;
    const number = this.#keys.numberOf(table);
    return Number(this.#db.prepare(sql).pluck().get(this.#watermark, number));
  }

  nthKey(table: PlannedTable, range: KeyRange, offset: number): readonly unknown[] | null {
    if ((logEnd(this.#db) ?? 0n) - this.#watermark <= BigInt(offset)) return null;
    const { relation, terms } = this.#keys.of(table, this.#watermark);
    const { where, values } = sqliteRange(terms, range);
    const sql = `SELECT ${boundColumns(terms)} FROM (SELECT * FROM ${relation} WHERE seq > ?) ${where}
      ORDER BY ${terms.map((term) => term.sqlite).join(", ")} LIMIT 1 OFFSET ?`;
    const statement = this.#db.prepare<unknown[], unknown[]>(sql).raw();
    return statement.get(this.#watermark, ...values, BigInt(offset)) ?? null;
  }

  /** The keys are one text from SQLite to Postgres: as many as 50,000 strings of their own take tens of megabytes before V8 clears up. */
  within(table: PlannedTable, range: KeyRange, most: number): WrittenRows {
    const { relation, terms } = this.#keys.of(table, this.#watermark);
    const { where, values } = sqliteRange(terms, range);
    const shown = terms.map((term) => term.input).join(", ");
    const written = `(SELECT * FROM ${relation} WHERE seq > ?) ${where}`;
    const [count, keys] = this.#db
      .prepare<unknown[], [bigint | number, string | null]>(
        `SELECT count(*), group_concat(key, char(10)) FROM (SELECT DISTINCT key FROM ${written})`,
      )
      .raw()
      .get(this.#watermark, ...values) ?? [0, null];
    const rows = this.#db
      .prepare<unknown[], string[]>(`SELECT DISTINCT key, ${shown} FROM ${written} LIMIT ?`)
      .raw()
      .all(this.#watermark, ...values, BigInt(most))
      .map(([key = "", ...shown]) => ({ key, shown: shown.join(", ") }));
    return { count: Number(count), keys: keys ?? "", rows };
  }

  among(table: PlannedTable, keys: readonly string[]): ReadonlySet<string> {
    if (keys.length === 0) return new Set();
    const { relation } = this.#keys.of(table, this.#watermark);
    const found = this.#db
      .prepare<[bigint, string], string>(
        `SELECT DISTINCT key FROM ${relation} WHERE seq > ? AND key IN (SELECT value FROM json_each(?))`,
      )
      .pluck()
      .all(this.#watermark, JSON.stringify(keys));
    return new Set(found);
  }
}

/** Whether a table's rows are told apart by nothing but the rowid. */
export function isToldByRowid({ key, rowid, constraints }: PlannedTable): boolean {
  return key.length === 1 && key[0] === rowid && !constraints.some(isPrimaryKey);
}

function isPrimaryKey({ kind }: { readonly kind: string }): boolean {
  return kind === "primary-key";
}
