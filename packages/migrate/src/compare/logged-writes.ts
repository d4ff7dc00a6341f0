import type { Database } from "better-sqlite3";
import { logEnd } from "../capture/change-log.ts";
import { identityColumns, logColumns } from "../capture/row-identity.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { boundColumns, type KeyRange, loggedTerms, spelledKey, sqliteRange } from "./row-key.ts";
import type { WrittenRow, WrittenSince } from "./sides.ts";

/** What the log of one snapshot of SQLite names behind a watermark. */
export class LoggedWrites implements WrittenSince {
  readonly #db: Database;
  readonly #numbers: ReadonlyMap<string, bigint>;
  readonly #watermark: bigint;
  readonly #isWhole: boolean;

  /** @param db in the transaction whose snapshot is read */
  constructor(db: Database, plan: MigrationPlan, watermark: bigint) {
    this.#db = db;
    this.#numbers = new Map(plan.tables.map((table, at) => [table.name, BigInt(at)]));
    this.#watermark = watermark;
    this.#isWhole = reachesBackTo(db, watermark);
  }

  /** Rowids may be others than those that the log names, once the file was written anew. */
  isKnown(table: PlannedTable): boolean {
    return this.#isWhole && (!isToldByRowid(table) || schemaSince(this.#db) === "same");
  }

  any(table: PlannedTable): boolean {
    const sql = `SELECT EXISTS (SELECT 1 FROM ${LOG_TABLE} WHERE seq > ? AND tbl = ?)`;
    return this.#db.prepare(sql).pluck().get(this.#watermark, this.#numberOf(table)) === 1n;
  }

  count(table: PlannedTable): number {
    const identity = logColumns(identityColumns(table).length).join(", ");
    const sql = `SELECT count(*) FROM (SELECT DISTINCT ${identity} FROM ${LOG_TABLE} WHERE seq > ? AND tbl = ?)`;
    return Number(this.#db.prepare(sql).pluck().get(this.#watermark, this.#numberOf(table)));
  }

  nthKey(table: PlannedTable, range: KeyRange, offset: number): readonly unknown[] | null {
    if ((logEnd(this.#db) ?? 0n) - this.#watermark <= BigInt(offset)) return null;
    const terms = loggedTerms(table);
    const { where, values } = sqliteRange(terms, range);
    const sql = `SELECT ${boundColumns(terms)} FROM (SELECT * FROM ${LOG_TABLE} WHERE seq > ? AND tbl = ?) ${where}
      ORDER BY ${terms.map((term) => term.sqlite).join(", ")} LIMIT 1 OFFSET ?`;
    return (
      this.#db
        .prepare<unknown[], unknown[]>(sql)
        .raw()
        .get(this.#watermark, this.#numberOf(table), ...values, BigInt(offset)) ?? null
    );
  }

  within(table: PlannedTable, range: KeyRange): readonly WrittenRow[] {
    const terms = loggedTerms(table);
    const { where, values } = sqliteRange(terms, range);
    return this.#db
      .prepare<unknown[], string[]>(
        `SELECT DISTINCT ${spelledKey(terms)}, ${terms.map((term) => term.input).join(", ")}
         FROM (SELECT * FROM ${LOG_TABLE} WHERE seq > ? AND tbl = ?) ${where}`,
      )
      .raw()
      .all(this.#watermark, this.#numberOf(table), ...values)
      .map(([key = "", ...shown]) => ({ key, shown: shown.join(", ") }));
  }

  among(table: PlannedTable, keys: readonly string[]): ReadonlySet<string> {
    if (keys.length === 0) return new Set();
    const found = this.#db
      .prepare<[bigint, bigint, string], string>(
        `SELECT DISTINCT key FROM (SELECT ${spelledKey(loggedTerms(table))} AS key FROM ${LOG_TABLE} WHERE seq > ? AND tbl = ?)
         WHERE key IN (SELECT value FROM json_each(?))`,
      )
      .pluck()
      .all(this.#watermark, this.#numberOf(table), JSON.stringify(keys));
    return new Set(found);
  }

  #numberOf(table: PlannedTable): bigint {
    const number = this.#numbers.get(table.name);
    if (number === undefined) throw new Error(`table ${table.name} is not in the plan`);
    return number;
  }
}

/** Whether a table's rows are told apart by nothing but the rowid. */
export function isToldByRowid({ key, rowid, constraints }: PlannedTable): boolean {
  return key.length === 1 && key[0] === rowid && !constraints.some(isPrimaryKey);
}

function isPrimaryKey({ kind }: { readonly kind: string }): boolean {
  return kind === "primary-key";
}

/** Numbers follow one on another and go from below once applied: a hole behind the watermark means that some went. */
function reachesBackTo(db: Database, watermark: bigint): boolean {
  const first = db
    .prepare<[], bigint | null>(`SELECT min(seq) FROM ${LOG_TABLE}`)
    .pluck()
    .safeIntegers()
    .get();
  return first === null || first === undefined || first <= watermark + 1n;
}
