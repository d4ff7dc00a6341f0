import type { Client } from "pg";
import { CheckpointWindow } from "../checkpoint-window.ts";
import { heldSides, type Moment, type Sides } from "../compare/sides.ts";
import type { LiveSource } from "../live-source.ts";
import type { ProductPace } from "../product-pace.ts";

export interface BroughtSidesInit {
  readonly source: LiveSource;
  /** In the load's own transaction. */
  readonly client: Client;
  /** Absent: the product is not rested for. */
  readonly pace: ProductPace | undefined;
  /** Brings the target to the snapshot of SQLite that is held. */
  readonly bring: () => Promise<unknown>;
  readonly signal: AbortSignal;
}

/**
 * Both databases while the load alone writes to Postgres. For each look the target is brought to a new snapshot of SQLite, so
 * that the two are equal in whole, and nothing is held longer than that look: the product's checkpoints go through between
 * them, and what it writes to rows that were compared before is brought and compared as the log says.
 */
export class BroughtSides implements Sides {
  readonly isWhole = true;
  readonly #init: BroughtSidesInit;
  readonly #window: CheckpointWindow;
  readonly #held: Sides;
  readonly ask: Sides["ask"];

  constructor(init: BroughtSidesInit) {
    this.#init = init;
    this.#window = new CheckpointWindow(init.source.db);
    this.#held = heldSides(init.client);
    this.ask = this.#held.ask;
  }

  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    const { source, pace, bring, signal } = this.#init;
    await pace?.between(signal);
    this.#window.await();
    return await source.snapshot(async () => {
      await bring();
      return await this.#held.look(compare);
    });
  }
}
