import type { Statement } from "better-sqlite3";
import type { Client } from "pg";
import { logEnd, reachesBackTo } from "../capture/change-log.ts";
import { widestIdentity } from "../capture/row-identity.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import { isToldByRowid } from "../compare/logged-writes.ts";
import type { LiveSource } from "../live-source.ts";
import { framed } from "../load/copy-frame.ts";
import { sendCopy } from "../load/copy-stream.ts";
import { refusedRows } from "../load/copy-table.ts";
import { liveCopyForm, liveRows } from "../load/live-rows.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { targetError } from "../target/target-error.ts";
import { ChangedKeys } from "./changed-keys.ts";
import { assertSumsEqual } from "./compare-touched.ts";
import { FarKeys } from "./far-keys.ts";
import { refusedValue } from "./refused-value.ts";
import { replaced, schemaChanged, setBack } from "./source-moved-on.ts";
import { type TouchedKeys, type TouchedRows, touchedKeys, touchedRows } from "./touched-rows.ts";

/** So many keys of a table without indexes must not be taken for a few. */
const MANY_KEYS = 1_000;

/** With so many entries waiting one read of SQLite would be long. */
export const FAR_BEHIND = 50_000n;

/** What is read in one of many short reads. */
const FAR_ROWS = 5_000;
const FAR_BYTES = 16 * 1024 * 1024;

/** What one look at the log brought to Postgres. */
export interface Applied {
  /** The last entry that Postgres holds now. */
  readonly through: bigint;
  readonly tables: readonly AppliedTable[];
}

export interface AppliedTable {
  readonly name: string;
  /** Rows that are there now, and rows that went before they came again. */
  readonly written: number;
  readonly removed: number;
}

export interface ApplyOptions {
  /**
   * Reads back what was written, and compares it: always, but while the product waits for the lock, and in a load only of
   * tables that it has compared already.
   */
  readonly compare: boolean | ((table: PlannedTable) => boolean);
}

/**
 * Brings the target from one snapshot of SQLite to a later one: of each row that the log names, Postgres gets what the
 * snapshot holds now. Since every look takes the log as far as its snapshot goes, the target is always one state of SQLite in
 * whole, so its UNIQUE constraints hold whatever values changed hands. The transaction of Postgres is the caller's.
 */
export class ChangeApplier {
  readonly #source: LiveSource;
  readonly #client: Client;
  readonly #plan: MigrationPlan;
  readonly #keys: ChangedKeys;
  readonly #touchedKeys: TouchedKeys;
  readonly #rows: readonly TouchedRows[];
  readonly #statements = new Map<string, Statement<[], Buffer>>();
  /** Made in a transaction that was committed. */
  #hasKeyTable = false;
  #watermark: bigint;

  /** @param watermark the last entry of the log that the target holds */
  constructor(source: LiveSource, client: Client, plan: MigrationPlan, watermark: bigint) {
    this.#source = source;
    this.#client = client;
    this.#plan = plan;
    this.#keys = new ChangedKeys(source.db, plan);
    const width = widestIdentity(plan);
    const { schema } = plan;
    this.#touchedKeys = touchedKeys(width);
    this.#rows = plan.tables.map((planned, number) =>
      touchedRows({ planned, number, schema, width }),
    );
    this.#watermark = watermark;
  }

  get watermark(): bigint {
    return this.#watermark;
  }

  /** What is told once the caller's transaction is committed: the next look begins behind it. */
  committed(applied: Applied): void {
    this.#watermark = applied.through;
    this.#hasKeyTable = true;
  }

  /** Entries that one look would bring. */
  get waiting(): bigint {
    return (logEnd(this.#source.db) ?? this.#watermark) - this.#watermark;
  }

  /**
   * Brings a log that is too long for one snapshot of SQLite, in short reads, within a transaction of Postgres: first all rows go that it
   * names, then those come again that it has not named once more until they are read. Such a row is as it was at the log's end, and
   * so is every other that is there: whatever is missing has been named since, and a look at what came later brings it. So UNIQUE
   * holds all the time, and the caller makes the target whole by `apply`.
   * @param after the last entry that the target holds
   */
  async applyFar(after: bigint, signal: AbortSignal): Promise<Applied> {
    const { db } = this.#source;
    const through = this.#end(after);
    const keys = new FarKeys(db, this.#plan, through);
    try {
      keys.gather(after, through, signal);
      const tables: AppliedTable[] = [];
      for (const [number, one] of this.#rows.entries()) {
        // All of it comes with the whole look that follows.
        if (isToldByRowid(one.table) && schemaSince(db) !== "same") continue;
        const table = await this.#farTable(keys, number, signal);
        if (table.removed + table.written > 0) tables.push(table);
      }
      return { through, tables };
    } finally {
      keys.end();
    }
  }

  async #farTable(keys: FarKeys, number: number, signal: AbortSignal): Promise<AppliedTable> {
    const one = this.#rows[number] as TouchedRows;
    const rows = farRows(this.#plan.tables[number] as PlannedTable);
    let removed = 0;
    let written = 0;
    for (const chunk of keys.chunks(number, rows)) {
      keys.take(chunk);
      await this.#bringKeys([one], "empty");
      removed += await this.#remove(one, one.remove, signal);
    }
    for (const chunk of keys.chunks(number, rows))
      await this.#source.snapshot(async () => {
        signal.throwIfAborted();
        // VACUUM has given other rowids meanwhile.
        if (isToldByRowid(one.table) && schemaSince(this.#source.db) !== "same") return;
        keys.takeUntouched(chunk);
        await this.#bringKeys([one], "empty");
        written += await this.#insert(one);
        await assertSumsEqual(this.#source.db, this.#client, one);
      });
    return { name: one.table.name, written, removed };
  }

  /** @throws LifeboatError `SOURCE_CHANGED`, `SQLITE_REPLACED`, `POSTGRES_SET_BACK` */
  #end(after: bigint): bigint {
    if (schemaSince(this.#source.db) === "changed") throw schemaChanged(this.#plan);
    // The last entry that was brought stays in the log: where there is none none was brought.
    const through = logEnd(this.#source.db) ?? 0n;
    if (through < after) throw replaced(this.#plan);
    if (!reachesBackTo(this.#source.db, after)) throw setBack(this.#plan);
    return through;
  }

  /**
   * Applies what the snapshot, which the caller holds, has in its log. Call it within a transaction of Postgres.
   * @param after the last entry that the target holds, where the caller's transaction has gone on
   * @returns null where nothing waits
   * @throws LifeboatError `SOURCE_CHANGED`, `SQLITE_REPLACED`, `POSTGRES_SET_BACK`, `VALUE_NOT_PLANNED`, `TARGET_REFUSED_ROWS`, `NOT_APPLIED`
   */
  async apply(
    { compare }: ApplyOptions,
    signal: AbortSignal,
    after = this.#watermark,
  ): Promise<Applied | null> {
    const through = this.#end(after);
    const since = schemaSince(this.#source.db);
    const tables = this.#keys.read(after, through);
    const renumbered =
      since === "renumbered" ? this.#rows.filter((one) => isToldByRowid(one.table)) : [];
    const touched = this.#rows.filter(
      (one, number) => tables.has(number) && !renumbered.includes(one),
    );
    if (touched.length === 0 && renumbered.length === 0) return null;
    await this.#bringKeys(touched);
    const removed = new Map<TouchedRows, number>();
    for (const one of renumbered) removed.set(one, await this.#remove(one, one.removeAll, signal));
    for (const one of touched) removed.set(one, await this.#remove(one, one.remove, signal));
    const applied: AppliedTable[] = [];
    for (const [one, count] of removed) {
      signal.throwIfAborted();
      const written = renumbered.includes(one) ? await this.#copyAll(one) : await this.#insert(one);
      applied.push({ name: one.table.name, written, removed: count });
      const isCompared = typeof compare === "function" ? compare(one.table) : compare;
      if (isCompared && touched.includes(one))
        await assertSumsEqual(this.#source.db, this.#client, one);
    }
    return { through, tables: applied };
  }

  /** Compares the rows of entries that were applied already; for those that were not compared then. */
  async compareAgain(after: bigint, through: bigint): Promise<void> {
    const tables = this.#keys.read(after, through);
    const touched = this.#rows.filter((_, number) => tables.has(number));
    await this.#bringKeys(touched);
    for (const one of touched) await assertSumsEqual(this.#source.db, this.#client, one);
  }

  /** A table without a key whose rowids SQLite has given anew goes as a whole: what the log says of it before means nothing. */
  async #remove(one: TouchedRows, sql: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    try {
      return (await this.#client.query(sql)).rowCount ?? 0;
    } catch (cause) {
      throw refusedRows(one.table, targetError(cause));
    }
  }

  /** The keys of all tables in one COPY, since each takes its time to and fro. */
  async #bringKeys(
    touched: readonly TouchedRows[],
    clearing: "clear" | "empty" = "clear",
  ): Promise<void> {
    const { make, copy, analyze, [clearing]: clear } = this.#touchedKeys;
    await this.#client.query(this.#hasKeyTable ? clear : `${make}; ${clear}`);
    if (touched.length === 0) return;
    const keys = framed({ format: "text", row: "" }, this.#keysOf(touched));
    const count = await sendCopy(this.#client, copy, keys);
    if (count >= MANY_KEYS) await this.#client.query(analyze);
  }

  *#keysOf(touched: readonly TouchedRows[]): Generator<Buffer> {
    for (const one of touched) yield* this.#statement(one.keys).iterate();
  }

  async #insert(one: TouchedRows): Promise<number> {
    const rows = this.#statement(one.rows).iterate();
    return this.#copy(one, framed(one.form, rows));
  }

  async #copyAll(one: TouchedRows): Promise<number> {
    const form = liveCopyForm(one.table);
    return this.#copy(one, framed(form, liveRows(this.#source.db, one.table, form)));
  }

  async #copy({ table, copyRows }: TouchedRows, chunks: Iterable<Buffer>): Promise<number> {
    try {
      return await sendCopy(this.#client, copyRows, chunks);
    } catch (cause) {
      throw refusedValue(table, cause) ?? refusedRows(table, targetError(cause));
    }
  }

  /** Prepared once: they are long, and the last ones run while the product waits. */
  #statement(sql: string): Statement<[], Buffer> {
    const prepared = this.#statements.get(sql) ?? this.#source.db.prepare<[], Buffer>(sql).pluck();
    this.#statements.set(sql, prepared);
    return prepared;
  }
}

/** So many rows that a read of them is short. */
function farRows({ rows, bytes }: PlannedTable): number {
  const each = Math.max(1, bytes / Math.max(1, rows));
  return Math.max(100, Math.min(FAR_ROWS, Math.floor(FAR_BYTES / each)));
}
