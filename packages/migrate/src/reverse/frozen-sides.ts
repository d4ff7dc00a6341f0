import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { movedOn } from "../compare/compared-entry.ts";
import { answerOrNull, type Moment, type Sides, type WrittenSince } from "../compare/sides.ts";
import { targetTables } from "../ddl.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { abandon } from "../target/abandon.ts";
import { isLockTaken, LOCK_TIMEOUT_MS, presentTables, tablesBusy } from "../target/hold-tables.ts";
import { type JournalEntry, standingOf } from "../target/journal.ts";
import { type Followed, readFollowed } from "./followed.ts";
import { assertOneHistory, type KnownLook, knownLook } from "./known-look.ts";
import { copiesAt } from "./log-since.ts";
import { UnfollowedWrites } from "./unfollowed-writes.ts";

const PAUSE_MS = 250;
const PATIENCE_SECONDS = 60;

/** A sync has brought several batches between both snapshots, and Postgres forgot what they held. */
const OVERTAKEN = Symbol("overtaken");

/**
 * Both databases while the product writes to Postgres and a sync may bring that back to the frozen file. Each look takes first the
 * snapshot of SQLite, which says how much of Postgres it holds, and then that of Postgres, with its log. So a row that the log does not
 * name since must be equal. Both are held for a look; the product does not write to SQLite any more, and in WAL mode a sync goes on.
 */
export class FrozenSides implements Sides {
  readonly ask: Sides["ask"] = answerOrNull;
  readonly keepsRowids = true;
  readonly #db: Database;
  readonly #client: Client;
  readonly #migration: string;
  readonly #plan: MigrationPlan;
  readonly #signal: AbortSignal;
  readonly #written: UnfollowedWrites;
  /** The newest batch that the file is known to hold. */
  #known = 0;
  #followed: Followed;

  /** @param db in no transaction */
  constructor(db: Database, client: Client, { id, plan }: JournalEntry, signal: AbortSignal) {
    this.#db = db;
    this.#client = client;
    this.#migration = id;
    this.#plan = plan;
    this.#signal = signal;
    this.#written = new UnfollowedWrites(db, plan);
    this.#followed = readFollowed(db);
  }

  /** The batch that the file held at the last look, and the one that it holds now. */
  get batch(): bigint {
    return BigInt(this.#followed.batch);
  }

  async newestBatch(): Promise<bigint> {
    await this.#assertCutOver();
    return BigInt(readFollowed(this.#db).batch);
  }

  async gather(): Promise<void> {
    await this.look(async () => undefined);
  }

  /** @throws LifeboatError `NOT_LOADED` (not-found) once the migration has gone on, `SQLITE_REPLACED`, `POSTGRES_SET_BACK`, `TABLES_IN_USE` */
  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    const end = performance.now() + PATIENCE_SECONDS * 1000;
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        const result = await this.#inSnapshots(compare);
        if (result !== OVERTAKEN) return result;
      } catch (cause) {
        if (!isLockTaken(cause)) throw cause;
        if (performance.now() > end) throw await this.#busy(cause);
        await sleep(PAUSE_MS, undefined, { signal: this.#signal });
      }
    }
  }

  log<Result>(read: (written: WrittenSince) => Result): Result {
    return read(this.#written);
  }

  async #inSnapshots<Result>(
    compare: (moment: Moment) => Promise<Result>,
  ): Promise<Result | typeof OVERTAKEN> {
    const tables = await presentTables(this.#client, targetTables(this.#plan));
    this.#db.exec("BEGIN");
    try {
      const followed = readFollowed(this.#db);
      await this.#begin(tables);
      await this.#assertCutOver();
      const known = await knownLook(this.#client);
      const isBehind = followed.batch < known.batch && this.#known < known.batch;
      this.#known = known.batch;
      if (!isBehind) assertOneHistory(known, followed);
      const result = isBehind ? OVERTAKEN : await this.#compare(followed, known, compare);
      await this.#client.query("COMMIT");
      this.#db.exec("COMMIT");
      return result;
    } catch (cause) {
      this.#written.forget();
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      await abandon(this.#client);
      throw cause;
    }
  }

  /**
   * The locks come before the snapshot (manual, "Data Consistency Checks at the Application Level"): a table that TRUNCATE or ALTER gave
   * a new file in between would be empty to it.
   */
  async #begin(tables: readonly string[]): Promise<void> {
    await this.#client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    );
    if (tables.length > 0)
      await this.#client.query(`LOCK TABLE ${tables.join(", ")} IN ACCESS SHARE MODE`);
  }

  async #compare<Result>(
    followed: Followed,
    known: KnownLook,
    compare: (moment: Moment) => Promise<Result>,
  ): Promise<Result> {
    this.#followed = followed;
    await this.#written.read(this.#client, followed, known);
    const { schema } = this.#plan;
    return compare({
      inSqlite: (read) => read(this.#written),
      copiesThere: (table: PlannedTable) => copiesAt(followed.snapshot, schema, table),
    });
  }

  async #assertCutOver(): Promise<void> {
    const standing = await standingOf(this.#client, this.#migration);
    if (standing?.phase !== "cut-over") throw movedOn(standing?.phase ?? "gone");
  }

  #busy(cause: unknown) {
    return tablesBusy(
      {
        client: this.#client,
        relations: targetTables(this.#plan),
        mode: "ACCESS SHARE",
        patienceSeconds: PATIENCE_SECONDS,
      },
      cause,
    );
  }
}
