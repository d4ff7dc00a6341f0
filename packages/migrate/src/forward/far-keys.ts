import type { Database } from "better-sqlite3";
import { logColumns, widestIdentity } from "../capture/row-identity.ts";
import type { MigrationPlan } from "../plan.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { CHANGED_KEYS } from "./changed-keys.ts";

/** Entries of the log that are read in one go. */
const ENTRIES = 20_000n;

/** Some keys of one table. */
export interface KeyChunk {
  /** The table's place in the plan. */
  readonly table: number;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * The keys that a long log names, each once, gathered in short reads into a temporary table of the connection, so that they can
 * be gone through without a snapshot of SQLite.
 */
export class FarKeys {
  readonly #db: Database;
  readonly #columns: readonly string[];
  readonly #keys: readonly string[];
  /** Entries up to this one are known as newer. */
  #newerThrough: bigint;

  /** @param through the last entry that is gathered */
  constructor(db: Database, plan: MigrationPlan, through: bigint) {
    this.#db = db;
    this.#newerThrough = through;
    this.#keys = logColumns(widestIdentity(plan));
    this.#columns = [...this.#keys, ...this.#keys.map((key) => `class_${key}`)];
    const columns = this.#columns.join(", ");
    const keys = this.#keys.join(", ");
    db.exec(
      `DROP TABLE IF EXISTS temp.lifeboat_far; CREATE TEMP TABLE lifeboat_far (id INTEGER PRIMARY KEY, tbl INTEGER, ${columns});
       CREATE INDEX temp.lifeboat_far_key ON lifeboat_far (tbl, ${keys}); CREATE INDEX temp.lifeboat_far_tbl ON lifeboat_far (tbl);
       DROP TABLE IF EXISTS temp.lifeboat_newer; CREATE TEMP TABLE lifeboat_newer (id INTEGER PRIMARY KEY, tbl INTEGER, ${columns});
       CREATE INDEX temp.lifeboat_newer_key ON lifeboat_newer (tbl, ${keys})`,
    );
  }

  /** Gathers the keys of the entries after one up to another. */
  gather(after: bigint, through: bigint, signal: AbortSignal): void {
    for (let from = after; from < through; from += ENTRIES) {
      signal.throwIfAborted();
      const to = from + ENTRIES < through ? from + ENTRIES : through;
      this.#add("lifeboat_far", from, to);
    }
  }

  /** The keys of one table, so many at once. */
  *chunks(table: number, rows: number): Generator<KeyChunk> {
    const last = this.#db
      .prepare<[bigint, bigint], bigint | null>(
        `SELECT max(id) FROM (SELECT id FROM temp.lifeboat_far WHERE tbl = ? AND id > ? ORDER BY id LIMIT ${rows})`,
      )
      .pluck();
    for (let from = 0n; ; ) {
      const to = last.get(BigInt(table), from) ?? null;
      if (to === null) return;
      yield { table, from, to };
      from = to;
    }
  }

  /** Makes them the keys that are looked at. */
  take(chunk: KeyChunk): void {
    this.#take(chunk, "");
  }

  /**
   * The same, without those that the log has named again since: a look at what came later brings them. Call it in the snapshot that
   * reads the rows.
   */
  takeUntouched(chunk: KeyChunk): void {
    const end = this.#db.prepare<[], bigint | null>(`SELECT max(seq) FROM ${LOG_TABLE}`).pluck();
    const through = end.get() ?? this.#newerThrough;
    this.#add("lifeboat_newer", this.#newerThrough, through);
    this.#newerThrough = through;
    this.#take(
      chunk,
      `AND NOT EXISTS (SELECT 1 FROM temp.lifeboat_newer AS n WHERE n.tbl = f.tbl AND ${this.#same("n", "f")})`,
    );
  }

  /** Leaves none of the temporary tables. */
  end(): void {
    this.#db.exec("DROP TABLE temp.lifeboat_far; DROP TABLE temp.lifeboat_newer");
  }

  #add(into: string, after: bigint, through: bigint): void {
    const values = [...this.#keys, ...this.#keys.map((key) => `typeof(${key})`)];
    const named = values.map((value, at) => `${value} AS ${this.#columns[at]}`).join(", ");
    this.#db
      .prepare<[bigint, bigint]>(
        `INSERT INTO temp.${into} (tbl, ${this.#columns.join(", ")})
         SELECT * FROM (SELECT DISTINCT tbl, ${named} FROM ${LOG_TABLE} WHERE seq > ? AND seq <= ?) AS l
         WHERE NOT EXISTS (SELECT 1 FROM temp.${into} AS f WHERE f.tbl = l.tbl AND ${this.#same("f", "l")})`,
      )
      .run(after, through);
  }

  /** Unused columns of a narrow key are NULL on both sides. */
  #same(one: string, other: string): string {
    return this.#columns.map((column) => `${one}.${column} IS ${other}.${column}`).join(" AND ");
  }

  #take({ table, from, to }: KeyChunk, condition: string): void {
    this.#db.exec(`DELETE FROM ${CHANGED_KEYS}`);
    this.#db
      .prepare<[bigint, bigint, bigint]>(
        `INSERT INTO ${CHANGED_KEYS} SELECT tbl, ${this.#columns.join(", ")} FROM temp.lifeboat_far AS f
         WHERE tbl = ? AND id > ? AND id <= ? ${condition}`,
      )
      .run(BigInt(table), from, to);
  }
}
