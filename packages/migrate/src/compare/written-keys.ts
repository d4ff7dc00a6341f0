import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database } from "better-sqlite3";
import { logEnd } from "../capture/change-log.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import type { ShortReads } from "../short-reads.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { addKeysSql, type GatheredKeys, gatheredKeys, indexKeys } from "./gathered-keys.ts";

/** Entries of the log that are read in one go: a short read. */
const ENTRIES = 50_000n;

interface Gathered extends GatheredKeys {
  /** The last entry that was gathered. */
  through: bigint;
  isIndexed: boolean;
}

/**
 * The keys that the log of changes names behind a watermark, in temporary tables of the connection, in their order: each part of a
 * table that is compared asks for its own, and the log has no order but its own. What comes to its end is added from look to
 * look; what goes from its beginning is behind the watermark, and of no account.
 */
export class WrittenKeys {
  readonly #db: Database;
  readonly #numbers: ReadonlyMap<string, bigint>;
  readonly #gathered = new Map<bigint, Gathered>();
  /** The last entry of each table, of those up to one. */
  readonly #last = new Map<bigint, bigint>();
  #lastThrough: bigint | null = null;

  constructor(db: Database, plan: MigrationPlan) {
    this.#db = db;
    this.#numbers = new Map(plan.tables.map((table, at) => [table.name, BigInt(at)]));
  }

  /** As the log names a table. */
  numberOf({ name }: PlannedTable): bigint {
    const number = this.#numbers.get(name);
    if (number === undefined) throw new Error(`table ${name} is not in the plan`);
    return number;
  }

  /** Whether the log of the caller's snapshot names any row of a table. */
  any(table: PlannedTable, watermark: bigint): boolean {
    const rows = this.#db
      .prepare<[bigint], [bigint, bigint]>(
        `SELECT tbl, max(seq) FROM ${LOG_TABLE} WHERE seq > ? GROUP BY tbl`,
      )
      .raw()
      .all(this.#lastThrough ?? watermark);
    for (const [number, seq] of rows) this.#last.set(number, seq);
    this.#lastThrough = logEnd(this.#db) ?? watermark;
    return (this.#last.get(this.numberOf(table)) ?? 0n) > watermark;
  }

  /** The keys of a table that the log of the caller's snapshot names. */
  of(table: PlannedTable, watermark: bigint): GatheredKeys {
    const gathered = this.#begun(table, watermark);
    this.#add(table, gathered, logEnd(this.#db) ?? gathered.through);
    this.#index(gathered);
    return gathered;
  }

  /** Gathers them before, in short reads, since the log may be long. */
  async gather(
    table: PlannedTable,
    { reads, watermark, signal }: { reads: ShortReads; watermark: bigint; signal: AbortSignal },
  ): Promise<void> {
    const gathered = this.#begun(table, watermark);
    const step = () => {
      const { through } = gathered;
      const end = logEnd(this.#db) ?? through;
      const to = through + ENTRIES < end ? through + ENTRIES : end;
      this.#add(table, gathered, to);
      return to < end;
    };
    while (reads.read(step)) {
      signal.throwIfAborted();
      await nextTurn();
    }
    // Outside a snapshot of the product's file, of which this reads nothing.
    this.#index(gathered);
  }

  #begun(table: PlannedTable, watermark: bigint): Gathered {
    const number = this.numberOf(table);
    const known = this.#gathered.get(number);
    if (known) return known;
    const begun = {
      ...gatheredKeys(this.#db, number, table),
      through: watermark,
      isIndexed: false,
    };
    this.#gathered.set(number, begun);
    return begun;
  }

  #index(gathered: Gathered): void {
    if (gathered.isIndexed) return;
    indexKeys(this.#db, gathered);
    gathered.isIndexed = true;
  }

  #add(table: PlannedTable, gathered: Gathered, to: bigint): void {
    if (to <= gathered.through) return;
    const entries = `${LOG_TABLE} WHERE seq > ? AND seq <= ? AND tbl = ?`;
    this.#db
      .prepare<[bigint, bigint, bigint]>(addKeysSql(gathered, table, entries))
      .run(gathered.through, to, this.numberOf(table));
    gathered.through = to;
  }
}
