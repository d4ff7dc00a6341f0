import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { answerOrNull, type Moment, type Sides, type WrittenSince } from "../compare/sides.ts";
import { targetTables } from "../ddl.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { isLockTaken, presentTables, tablesBusy } from "../target/hold-tables.ts";
import type { JournalEntry } from "../target/journal.ts";
import { readFollowed } from "./followed.ts";
import { FrozenSnapshots, type Standing } from "./frozen-snapshots.ts";
import { copiesAt } from "./log-since.ts";
import { UnfollowedWrites } from "./unfollowed-writes.ts";

const PAUSE_MS = 250;
const PATIENCE_SECONDS = 60;

/**
 * Both databases while the product writes to Postgres and a sync may bring that back to the frozen file. A look holds a snapshot of each
 * ({@link FrozenSnapshots}): a row that Postgres' log does not name behind the snapshot which the file holds must be equal.
 */
export class FrozenSides implements Sides {
  readonly ask: Sides["ask"] = answerOrNull;
  readonly keepsRowids = true;
  readonly #db: Database;
  readonly #client: Client;
  readonly #plan: MigrationPlan;
  readonly #signal: AbortSignal;
  readonly #snapshots: FrozenSnapshots;
  readonly #written: UnfollowedWrites;
  #batch: number;

  /** @param db in no transaction */
  constructor(db: Database, client: Client, { id, plan }: JournalEntry, signal: AbortSignal) {
    this.#db = db;
    this.#client = client;
    this.#plan = plan;
    this.#signal = signal;
    this.#snapshots = new FrozenSnapshots(db, client, id);
    this.#written = new UnfollowedWrites(db, plan);
    this.#batch = readFollowed(db).batch;
  }

  /** The batch that the file held at the last look, and the one that it holds now. */
  get batch(): bigint {
    return BigInt(this.#batch);
  }

  async newestBatch(): Promise<bigint> {
    await this.#snapshots.assertCutOver();
    return BigInt(readFollowed(this.#db).batch);
  }

  async gather(): Promise<void> {
    await this.look(async () => undefined);
  }

  /** @throws LifeboatError those of {@link FrozenSnapshots.hold}, and `TABLES_IN_USE` */
  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    const end = performance.now() + PATIENCE_SECONDS * 1000;
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        const tables = await presentTables(this.#client, targetTables(this.#plan));
        return await this.#snapshots.hold(tables, (standing) => this.#compare(standing, compare));
      } catch (cause) {
        // The temporary tables went with the transaction.
        this.#written.forget();
        if (!isLockTaken(cause)) throw cause;
        if (performance.now() > end) throw await this.#busy(cause);
        await sleep(PAUSE_MS, undefined, { signal: this.#signal });
      }
    }
  }

  log<Result>(read: (written: WrittenSince) => Result): Result {
    return read(this.#written);
  }

  async #compare<Result>(
    { followed, known }: Standing,
    compare: (moment: Moment) => Promise<Result>,
  ): Promise<Result> {
    this.#batch = followed.batch;
    await this.#written.read(this.#client, followed, known);
    const { schema } = this.#plan;
    return compare({
      inSqlite: (read) => read(this.#written),
      copiesThere: (table: PlannedTable) => copiesAt(followed.snapshot, schema, table),
    });
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
