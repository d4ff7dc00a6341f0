import type { Client } from "pg";
import { CheckpointWindow } from "../checkpoint-window.ts";
import { LoggedWrites } from "../compare/logged-writes.ts";
import { heldSides, type Moment, type Sides, type WrittenSince } from "../compare/sides.ts";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan } from "../plan.ts";

export interface BroughtSidesInit {
  readonly source: LiveSource;
  /** In the load's own transaction. */
  readonly client: Client;
  readonly plan: MigrationPlan;
  /** Brings the target to the snapshot of SQLite that is held. */
  readonly bring: () => Promise<unknown>;
  /** The last entry of the log that the target holds. */
  readonly watermark: () => bigint;
}

/**
 * Both databases while the load alone writes to Postgres. For each look the target is brought to a new snapshot of SQLite, so that
 * both are equal in whole; it ends with the look, and the product's checkpoints go through before the next one. What the log
 * names and was not brought is not told to differ: it is compared when it is.
 */
export class BroughtSides implements Sides {
  readonly ask: Sides["ask"];
  readonly #init: BroughtSidesInit;
  readonly #window: CheckpointWindow;
  #broughtMs = 0;
  #lookedMs = 0;

  constructor(init: BroughtSidesInit) {
    this.#init = init;
    this.#window = new CheckpointWindow(init.source.db);
    this.ask = heldSides(init.client).ask;
  }

  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    const { source } = this.#init;
    this.#window.await();
    return await source.snapshot(async () => {
      await this.#bring();
      const written = this.#written();
      const started = performance.now();
      const result = await compare({ inSqlite: (read) => read(written) });
      this.#lookedMs += performance.now() - started;
      return result;
    });
  }

  /** A product may begin to write faster than Postgres takes: it is not run after, or the comparison would not end. */
  async #bring(): Promise<void> {
    if (this.#broughtMs > this.#lookedMs) return;
    const started = performance.now();
    await this.#init.bring();
    this.#broughtMs += performance.now() - started;
  }

  #written(): WrittenSince {
    const { source, plan, watermark } = this.#init;
    const logged = new LoggedWrites(source.db, plan, watermark());
    return {
      // Nobody takes entries out of the log while it is loaded: what it does not name was not written.
      isKnown: () => true,
      count: (table) => logged.count(table),
      among: (table, keys) => logged.among(table, keys),
    };
  }
}
