import type { Database } from "better-sqlite3";
import { CheckpointWindow } from "../checkpoint-window.ts";
import type { MigrationPlan } from "../plan.ts";
import { LoggedWrites } from "./logged-writes.ts";

/** Reads of a SQLite database that is written: each in a snapshot of its own, and the product's checkpoints go through between two. */
export class ShortReads {
  readonly #db: Database;
  readonly #plan: MigrationPlan;
  readonly #window: CheckpointWindow;

  constructor(db: Database, plan: MigrationPlan) {
    this.#db = db;
    this.#plan = plan;
    this.#window = new CheckpointWindow(db);
  }

  /** @param watermark the last entry of the log that Postgres holds: `read` is told what was written behind it */
  read<Result>(watermark: bigint, read: (written: LoggedWrites) => Result): Result {
    this.#window.await();
    this.#db.exec("BEGIN");
    try {
      return read(new LoggedWrites(this.#db, this.#plan, watermark));
    } finally {
      if (this.#db.inTransaction) this.#db.exec("COMMIT");
    }
  }
}
