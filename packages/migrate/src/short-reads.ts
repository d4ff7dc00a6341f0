import type { Database } from "better-sqlite3";
import { CheckpointWindow } from "./checkpoint-window.ts";

/** Reads of a SQLite database that is written: each in a snapshot of its own, and the product's checkpoints go through between two. */
export class ShortReads {
  readonly #db: Database;
  readonly #window: CheckpointWindow;

  /** @param db with safe integers */
  constructor(db: Database) {
    this.#db = db;
    this.#window = new CheckpointWindow(db);
  }

  read<Result>(read: () => Result): Result {
    this.#window.await();
    this.#db.exec("BEGIN");
    try {
      return read();
    } finally {
      if (this.#db.inTransaction) this.#db.exec("COMMIT");
    }
  }
}
