import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { movedOn } from "../compare/compared-entry.ts";
import { abandon } from "../target/abandon.ts";
import { LOCK_TIMEOUT_MS } from "../target/hold-tables.ts";
import { standingOf } from "../target/journal.ts";
import { type Followed, readFollowed } from "./followed.ts";
import { assertOneHistory, type KnownLook, knownLook } from "./known-look.ts";

/** A sync has brought several batches between both snapshots, and Postgres forgot what they held. */
const OVERTAKEN = Symbol("overtaken");

/** How far the file has come in its snapshot, and what Postgres knows of it in its own. */
export interface Standing {
  readonly followed: Followed;
  readonly known: KnownLook;
}

/**
 * Snapshots of the frozen file and of Postgres that fit together, while a sync may bring changes from one to the other: first that of
 * SQLite, which says how much of Postgres it holds, then that of Postgres, with its log. Both are held for the work; the
 * product does not write to SQLite any more, and in WAL mode a sync goes on.
 */
export class FrozenSnapshots {
  readonly #db: Database;
  readonly #client: Client;
  readonly #migration: string;
  /** The newest batch that the file is known to hold. */
  #known = 0;

  /** @param db in no transaction */
  constructor(db: Database, client: Client, migration: string) {
    this.#db = db;
    this.#client = client;
    this.#migration = migration;
  }

  /**
   * @param lock Postgres' tables that stay as they are: a lock comes before the snapshot (manual, "Data Consistency Checks at the Application
   *   Level"), since a table that TRUNCATE or ALTER gave a new file in between would be empty to it
   * @throws LifeboatError `NOT_LOADED` (not-found) once the migration has gone on, `SQLITE_REPLACED`, `POSTGRES_SET_BACK`; Postgres' own
   *   55P03 or 40P01 where a lock is not to be had; and what the work throws. Nothing is held then
   */
  async hold<Result>(
    lock: readonly string[],
    work: (standing: Standing) => Promise<Result>,
  ): Promise<Result> {
    for (;;) {
      const result = await this.#holdOnce(lock, work);
      if (result !== OVERTAKEN) return result;
    }
  }

  /** @throws LifeboatError `NOT_LOADED` (not-found) */
  async assertCutOver(): Promise<void> {
    const standing = await standingOf(this.#client, this.#migration);
    if (standing?.phase !== "cut-over") throw movedOn(standing?.phase ?? "gone");
  }

  async #holdOnce<Result>(
    lock: readonly string[],
    work: (standing: Standing) => Promise<Result>,
  ): Promise<Result | typeof OVERTAKEN> {
    this.#db.exec("BEGIN");
    try {
      const followed = readFollowed(this.#db);
      await this.#begin(lock);
      await this.assertCutOver();
      const known = await knownLook(this.#client);
      const isBehind = followed.batch < known.batch && this.#known < known.batch;
      this.#known = known.batch;
      if (!isBehind) assertOneHistory(known, followed);
      const result = isBehind ? OVERTAKEN : await work({ followed, known });
      await this.#client.query("COMMIT");
      this.#db.exec("COMMIT");
      return result;
    } catch (cause) {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      await abandon(this.#client);
      throw cause;
    }
  }

  async #begin(lock: readonly string[]): Promise<void> {
    await this.#client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    );
    if (lock.length > 0)
      await this.#client.query(`LOCK TABLE ${lock.join(", ")} IN ACCESS SHARE MODE`);
  }
}
