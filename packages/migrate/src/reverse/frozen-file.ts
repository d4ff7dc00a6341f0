import { LifeboatError } from "@lifeboat/core";
import type { Database as Connection } from "better-sqlite3";
import { makeRefusals, putInForce, removeCapture, removeTraces } from "../freeze.ts";
import { openSqlite } from "../sqlite/open-sqlite.ts";
import { readSchema } from "../sqlite/read-schema.ts";
import type { SqliteSchema } from "../sqlite/schema.ts";
import { type Followed, readFollowed } from "./followed.ts";
import { setTriggersAside } from "./set-triggers-aside.ts";

/** What helps where the file is missing, and where it can't be opened. */
export const FILE_REMEDIES = {
  missing: "bring the file back that the cutover froze: without it there is no way back",
  unreadable: "check its permissions, and that no other process holds it exclusively",
};

/**
 * The SQLite file that the product left, written only by Lifeboat: one transaction a batch, which also holds how far
 * it has come. So a kill at any instant leaves the file before the batch or after it.
 */
export class FrozenFile {
  readonly db: Connection;
  readonly schema: SqliteSchema;
  #putBack: (() => void) | undefined;

  private constructor(db: Connection) {
    this.db = db;
    this.schema = readSchema(db);
  }

  /**
   * @param busyMs how long others may hold its lock
   * @throws LifeboatError `SQLITE_NOT_FOUND`, `SQLITE_UNREADABLE`
   */
  static open(path: string, busyMs = 10_000): FrozenFile {
    return openSqlite(path, { busyMs, remedies: FILE_REMEDIES }, (db) => {
      // Postgres forgets a change once SQLite holds it, so a commit here must last.
      db.pragma("synchronous = FULL");
      // Postgres has cascaded already, and rows of a batch come in any order.
      db.pragma("foreign_keys = OFF");
      return new FrozenFile(db);
    });
  }

  followed(): Followed {
    return readFollowed(this.db);
  }

  /**
   * Takes the write lock; the refusals of others' writes and the product's own triggers on these tables are out of force
   * until the commit, for this transaction alone. See decision 36.
   * @param isAnew makes the refusals again where the file was restored to a state before the freeze, and takes away what logged its writes
   */
  begin(tables: readonly string[], isAnew = false): void {
    this.db.exec("BEGIN IMMEDIATE");
    if (isAnew) this.#freezeAgain();
    this.db.exec(
      "CREATE TEMP TABLE IF NOT EXISTS lifeboat_touched (id INTEGER PRIMARY KEY, key TEXT, place INTEGER)",
    );
    if (this.#has("lifeboat_state")) this.#liftRefusals();
    this.#putBack = setTriggersAside(this.db, this.schema, tables);
  }

  commit(followed: Followed): void {
    this.#putBack?.();
    this.#prepareFollowed();
    this.db
      .prepare(
        "INSERT OR REPLACE INTO lifeboat_followed (one, batch, snapshot, look, stored) VALUES (1, ?, ?, ?, ?)",
      )
      .run(
        BigInt(followed.batch),
        followed.snapshot,
        followed.look,
        JSON.stringify(followed.stored),
      );
    if (this.#has("lifeboat_state")) this.db.exec("UPDATE lifeboat_state SET refused = 1");
    this.db.exec("COMMIT");
  }

  /** Whether the product's writes are refused; false as well where nothing of a cutover is in the file. */
  refusesWrites(): boolean {
    if (!this.#has("lifeboat_state")) return false;
    return this.db.prepare("SELECT refused FROM lifeboat_state").pluck().get() === 1n;
  }

  /** Lets the product write again: with its commit SQLite is what rules. */
  allowWrites(): void {
    this.db.exec("BEGIN IMMEDIATE");
    if (this.#has("lifeboat_state")) this.db.exec("UPDATE lifeboat_state SET refused = 0");
    this.db.exec("COMMIT");
  }

  /** Takes away all that Lifeboat made in the file, and nothing of the product's. May be called again. */
  removeTraces(): void {
    this.db.exec("BEGIN IMMEDIATE");
    removeTraces(this.db);
    this.db.exec("COMMIT");
  }

  /** Leaves nothing of the batch. May be called without one. */
  rollback(): void {
    if (this.db.inTransaction) this.db.exec("ROLLBACK");
  }

  close(): void {
    this.db.close();
  }

  #prepareFollowed(): void {
    this.db.exec(
      "CREATE TABLE IF NOT EXISTS lifeboat_followed (one INTEGER PRIMARY KEY CHECK (one = 1), batch INTEGER NOT NULL, snapshot TEXT NOT NULL, look TEXT, stored TEXT)",
    );
    const sql = "SELECT 1 FROM pragma_table_info('lifeboat_followed') WHERE name = 'look'";
    if (this.db.prepare(sql).get() !== undefined) return;
    // One of an earlier version.
    this.db.exec(
      "ALTER TABLE lifeboat_followed ADD look TEXT; ALTER TABLE lifeboat_followed ADD stored TEXT",
    );
  }

  #freezeAgain(): void {
    removeCapture(this.db);
    makeRefusals(this.db);
    putInForce(this.db, null);
  }

  /** Where SQLite takes the product's writes again, ours would be lost updates. */
  #liftRefusals(): void {
    const lifted = this.db.prepare("UPDATE lifeboat_state SET refused = 0 WHERE refused = 1").run();
    if (lifted.changes === 0) throw notFrozen();
  }

  #has(table: string): boolean {
    const sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
    return this.db.prepare(sql).get(table) !== undefined;
  }
}

export function notFrozen(): LifeboatError {
  return new LifeboatError({
    code: "SQLITE_NOT_FROZEN",
    kind: "refused",
    message: "the SQLite database takes the product's writes, so Postgres' can't be followed there",
    remedy:
      "see lifeboat migrate status: a rollback may be half done, then run it again. Where the file was restored from before the cutover, lifeboat migrate sync --anew freezes it and writes it anew",
  });
}
