import type { Database } from "better-sqlite3";
import { logColumns, widestIdentity } from "../capture/row-identity.ts";
import type { MigrationPlan } from "../plan.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";

/** The keys of one look at the log, each once; a temporary table of the connection, so the log is read only once. */
export const CHANGED_KEYS = "temp.lifeboat_changed";

/** Keys that are equal as SQLite compares numbers, 1 and 1.0, are two where their classes differ. */
export class ChangedKeys {
  readonly #db: Database;
  readonly #fill: string;

  constructor(db: Database, plan: MigrationPlan) {
    this.#db = db;
    const keys = logColumns(widestIdentity(plan));
    const classes = keys.map((key) => `typeof(${key})`);
    this.#fill = `INSERT INTO ${CHANGED_KEYS} SELECT DISTINCT tbl, ${[...keys, ...classes].join(", ")}
      FROM ${LOG_TABLE} WHERE seq > ? AND seq <= ?`;
    const columns = [...keys, ...keys.map((key) => `class_${key}`)].join(", ");
    db.exec(
      `DROP TABLE IF EXISTS ${CHANGED_KEYS}; CREATE TABLE ${CHANGED_KEYS} (tbl INTEGER, ${columns});
       CREATE INDEX temp.lifeboat_changed_tbl ON lifeboat_changed (tbl)`,
    );
  }

  /**
   * Reads the entries of the log after one up to another.
   * @returns the places in the plan of the tables that they name
   */
  read(after: bigint, through: bigint): ReadonlySet<number> {
    this.#db.exec(`DELETE FROM ${CHANGED_KEYS}`);
    this.#db.prepare<[bigint, bigint]>(this.#fill).run(after, through);
    const tables = this.#db
      .prepare<[], bigint>(`SELECT DISTINCT tbl FROM ${CHANGED_KEYS}`)
      .pluck()
      .all();
    return new Set(tables.map(Number));
  }
}
