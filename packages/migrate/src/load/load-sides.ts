import type { Client } from "pg";
import { LoggedWrites } from "../compare/logged-writes.ts";
import { heldSides, type Moment, type Sides, type WrittenSince } from "../compare/sides.ts";
import { WrittenKeys } from "../compare/written-keys.ts";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import type { ProductPace } from "../product-pace.ts";
import { ShortReads } from "../short-reads.ts";

export interface LoadSidesInit {
  readonly source: LiveSource;
  /** In the load's own transaction. */
  readonly client: Client;
  readonly plan: MigrationPlan;
  /** The last entry of the log that the target holds. */
  readonly watermark: () => bigint;
  /** Absent: the product is not rested for. */
  readonly pace: ProductPace | undefined;
  readonly signal: AbortSignal;
}

/**
 * Both databases while the load alone writes to Postgres, and the product to SQLite. What it has written since Postgres was brought
 * up to it is not told to differ: whoever brings that compares it, the load or a sync.
 */
export class LoadSides implements Sides {
  readonly keepsRowids = true;
  readonly ask: Sides["ask"];
  readonly #init: LoadSidesInit;
  readonly #reads: ShortReads;
  readonly #keys: WrittenKeys;

  constructor(init: LoadSidesInit) {
    this.#init = init;
    this.#reads = new ShortReads(init.source.db);
    this.#keys = new WrittenKeys(init.source.db, init.plan);
    this.ask = heldSides(init.client).ask;
  }

  async gather(table: PlannedTable, signal: AbortSignal): Promise<void> {
    const watermark = this.#init.watermark();
    await this.#keys.gather(table, { reads: this.#reads, watermark, signal });
  }

  async look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result> {
    const { pace, signal } = this.#init;
    await pace?.between(signal);
    return await compare({ inSqlite: (read) => this.log(read) });
  }

  /** Whether the log still tells all that was written to a table; not where VACUUM gave its rows other rowids. */
  isKnown(table: PlannedTable): boolean {
    return this.log((written) => written.isKnown(table));
  }

  log<Result>(read: (written: WrittenSince) => Result): Result {
    const { source, watermark } = this.#init;
    return this.#reads.read(() => read(new LoggedWrites(source.db, this.#keys, watermark())));
  }
}
