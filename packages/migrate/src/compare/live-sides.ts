import { LifeboatError } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { ShortReads } from "../short-reads.ts";
import { standingOf } from "../target/journal.ts";
import { targetError } from "../target/target-error.ts";
import { movedOn } from "./compared-entry.ts";
import { LoggedWrites } from "./logged-writes.ts";
import { answerOrNull, type Moment, type Sides } from "./sides.ts";
import { WrittenKeys } from "./written-keys.ts";

/**
 * Both databases while the product writes to SQLite and a sync may bring its changes to Postgres. Each look takes first the
 * snapshot of Postgres, with the last entry of the log that it holds, and then short ones of SQLite. So a row that the
 * log does not name behind that entry must be equal. Nothing is held longer than a look, and the product's
 * checkpoints go through meanwhile.
 */
export class LiveSides implements Sides {
  readonly ask: Sides["ask"] = answerOrNull;
  /** A sync may bring what VACUUM has numbered anew, in the midst of a comparison. */
  readonly keepsRowids = false;
  readonly #client: Client;
  readonly #migration: string;
  readonly #written: (watermark: bigint) => LoggedWrites;
  readonly #keys: WrittenKeys;
  readonly #reads: ShortReads;
  #watermark = 0n;

  constructor(db: Database, client: Client, { id, plan }: { id: string; plan: MigrationPlan }) {
    this.#client = client;
    this.#migration = id;
    this.#keys = new WrittenKeys(db, plan);
    this.#written = (watermark) => new LoggedWrites(db, this.#keys, watermark);
    this.#reads = new ShortReads(db);
  }

  /** The watermark of the last look. */
  get watermark(): bigint {
    return this.#watermark;
  }

  /**
   * The watermark now.
   * @throws LifeboatError `NOT_LOADED` (not-found) once the migration has gone on to another phase
   */
  async newestWatermark(): Promise<bigint> {
    const standing = await standingOf(this.#client, this.#migration);
    if (standing?.phase === "loaded") return standing.watermark;
    throw movedOn(standing?.phase ?? "gone");
  }

  async gather(table: PlannedTable, signal: AbortSignal): Promise<void> {
    await this.#keys.gather(table, { reads: this.#reads, watermark: this.#watermark, signal });
  }

  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    await this.#client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    try {
      // The first statement takes the snapshot: rows and watermark are of one state.
      const watermark = await this.newestWatermark();
      this.#watermark = watermark;
      const result = await compare({
        inSqlite: (read) => this.#reads.read(() => read(this.#written(watermark))),
      });
      await this.#client.query("COMMIT");
      return result;
    } catch (cause) {
      await this.#rollBack();
      throw cause;
    }
  }

  log<Result>(read: (written: LoggedWrites) => Result): Result {
    return this.#reads.read(() => read(this.#written(this.#watermark)));
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#client.query("ROLLBACK");
    } catch (cause) {
      // Without its connection there is no transaction either; the first failure is the one to tell.
      if (!(targetError(cause) instanceof LifeboatError)) throw cause;
    }
  }
}
