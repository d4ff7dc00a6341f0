import type { Client } from "pg";
import { CheckpointWindow } from "../checkpoint-window.ts";
import { LoggedWrites } from "../compare/logged-writes.ts";
import {
  heldSides,
  type Moment,
  type PartedSides,
  type Sides,
  type WrittenSince,
} from "../compare/sides.ts";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan } from "../plan.ts";
import type { ProductPace } from "../product-pace.ts";

export interface BroughtSidesInit {
  readonly source: LiveSource;
  /** In the load's own transaction. */
  readonly client: Client;
  readonly plan: MigrationPlan;
  /** Absent: the product is not rested for. */
  readonly pace: ProductPace | undefined;
  /** Brings the target to the snapshot of SQLite that is held. */
  readonly bring: () => Promise<unknown>;
  /** The last entry of the log that the target holds. */
  readonly watermark: () => bigint;
  readonly signal: AbortSignal;
}

/** To get through a table ahead of what a product adds to it, the last parts are looked at without a rest. */
const RESTS = 1.5;

/**
 * Both databases while the load alone writes to Postgres. For each look the target is brought to a new snapshot of SQLite, so that
 * both are equal in whole; it ends with the look, and the product's checkpoints go through before the next one. What the log
 * names and was not brought is not told to differ: it is compared when it is.
 */
export class BroughtSides implements PartedSides {
  readonly ask: Sides["ask"];
  readonly #init: BroughtSidesInit;
  readonly #window: CheckpointWindow;
  #broughtMs = 0;
  #lookedMs = 0;
  #restsLeft = 0;

  constructor(init: BroughtSidesInit) {
    this.#init = init;
    this.#window = new CheckpointWindow(init.source.db);
    this.ask = heldSides(init.client).ask;
  }

  beginTable(parts: number): void {
    this.#restsLeft = Math.ceil(parts * RESTS);
  }

  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    const { source, pace, signal } = this.#init;
    if (this.#restsLeft-- > 0) await pace?.between(signal);
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

  /** A product may write faster than Postgres takes: it is not run after, or the comparison would not end. */
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
