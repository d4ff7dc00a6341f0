import type { Database } from "better-sqlite3";
import { logEnd, reachesBackTo } from "../capture/change-log.ts";
import { identityColumns, logColumns } from "../capture/row-identity.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import type { PlannedTable } from "../plan.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { type KeysSince, keysAmong, keysWithin, nthKey } from "./gathered-keys.ts";
import type { KeyRange } from "./row-key.ts";
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
    return nthKey(this.#since(table), range, offset);
  }

  within(table: PlannedTable, range: KeyRange, most: number): WrittenRows {
    return keysWithin(this.#since(table), range, most);
  }

  among(table: PlannedTable, keys: readonly string[]): ReadonlySet<string> {
    return keysAmong(this.#since(table), keys);
  }

  #since(table: PlannedTable): KeysSince {
    const gathered = this.#keys.of(table, this.#watermark);
    return { ...gathered, db: this.#db, after: this.#watermark };
  }
}

/** Whether a table's rows are told apart by nothing but the rowid. */
export function isToldByRowid({ key, rowid, constraints }: PlannedTable): boolean {
  return key.length === 1 && key[0] === rowid && !constraints.some(isPrimaryKey);
}

function isPrimaryKey({ kind }: { readonly kind: string }): boolean {
  return kind === "primary-key";
}
