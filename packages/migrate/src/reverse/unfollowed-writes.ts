import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { logColumns } from "../capture/row-identity.ts";
import {
  addKeysSql,
  type GatheredKeys,
  gatheredKeys,
  indexKeys,
  type KeysSince,
  keysAmong,
  keysWithin,
  nthKey,
} from "../compare/gathered-keys.ts";
import type { KeyRange } from "../compare/row-key.ts";
import { NO_ROWS, type WrittenRows, type WrittenSince } from "../compare/sides.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { valueInSqlite } from "./canon-columns.ts";
import { ChangeReader } from "./change-reader.ts";
import type { Followed } from "./followed.ts";
import { assertOneServer, type KnownLook } from "./known-look.ts";
import { isKeyed, loggedColumns } from "./logged-columns.ts";
import { rewrittenSince } from "./stored-as.ts";

/**
 * What the product wrote to Postgres and the frozen file does not hold yet, as Postgres' log names it; its keys in temporary tables
 * of SQLite. What comes to the log is added from look to look, and where a sync has brought some of it the file holds another
 * snapshot and all is read anew: that leaves little.
 */
export class UnfollowedWrites implements WrittenSince {
  readonly #db: Database;
  readonly #plan: MigrationPlan;
  readonly #gathered = new Map<string, GatheredKeys>();
  /** How many entries concern a table; and those of which the log does not say which rows. */
  readonly #entries = new Map<string, number>();
  readonly #unknown = new Set<string>();
  /** The snapshot that the file holds, and the one up to which the log was read. */
  #since: string | null = null;
  #through = "";

  constructor(db: Database, plan: MigrationPlan) {
    this.#db = db;
    this.#plan = plan;
  }

  /** Forgets all, where a transaction of SQLite took the temporary tables back. */
  forget(): void {
    this.#since = null;
    this.#gathered.clear();
    this.#entries.clear();
    this.#unknown.clear();
  }

  /** Reads on, in the REPEATABLE READ transaction of a look. */
  async read(client: Client, followed: Followed, known: KnownLook): Promise<void> {
    if (followed.snapshot !== this.#since) {
      this.forget();
      this.#since = followed.snapshot;
      this.#through = followed.snapshot;
    }
    const reader = await ChangeReader.within(client, this.#plan, this.#through);
    await assertOneServer(reader, followed);
    for (const { table, entries, whole } of await reader.touched()) {
      this.#entries.set(table.name, entries + this.entries(table));
      if (whole) this.#unknown.add(table.name);
      if (isKeyed(table)) await this.#gather(reader, table);
    }
    const now = await reader.stored();
    const rewritten = rewrittenSince(followed.stored ?? known.stored ?? now, now);
    for (const { name, target } of this.#plan.tables)
      if (rewritten.has(target)) this.#unknown.add(name);
    this.#through = reader.snapshot;
  }

  isKnown({ name }: PlannedTable): boolean {
    return !this.#unknown.has(name);
  }

  any({ name }: PlannedTable): boolean {
    return this.#entries.has(name);
  }

  /** How many entries of the log concern a table. */
  entries({ name }: PlannedTable): number {
    return this.#entries.get(name) ?? 0;
  }

  /** Rows without a key are compared as the file's snapshot held them, so those that were written since are of no account. */
  count(table: PlannedTable): number {
    return this.isKnown(table) ? 0 : Math.max(1, table.rows);
  }

  nthKey(table: PlannedTable, range: KeyRange, offset: number): readonly unknown[] | null {
    const keys = this.#keys(table);
    return keys && nthKey(keys, range, offset);
  }

  within(table: PlannedTable, range: KeyRange, most: number): WrittenRows {
    const keys = this.#keys(table);
    return keys ? keysWithin(keys, range, most) : NO_ROWS;
  }

  among(table: PlannedTable, keys: readonly string[]): ReadonlySet<string> {
    const gathered = this.#keys(table);
    return gathered ? keysAmong(gathered, keys) : new Set();
  }

  /** Null where the log names none. */
  #keys({ name }: PlannedTable): KeysSince | null {
    const gathered = this.#gathered.get(name);
    return gathered ? { ...gathered, db: this.#db, after: 0n } : null;
  }

  async #gather(reader: ChangeReader, table: PlannedTable): Promise<void> {
    const gathered = this.#gathered.get(table.name) ?? this.#begun(table);
    const columns = loggedColumns(table);
    const names = logColumns(columns.length);
    const values = columns.map((column, at) => `${valueInSqlite(column)} AS ${names[at]}`);
    const add = this.#db.prepare(
      addKeysSql(gathered, table, `(SELECT NULL AS seq, ${values.join(", ")})`),
    );
    for await (const keys of reader.keys(table))
      for (const canons of await reader.keyCanons(table, keys)) add.run(...canons);
    indexKeys(this.#db, gathered);
  }

  #begun(table: PlannedTable): GatheredKeys {
    const number = BigInt(this.#plan.tables.indexOf(table));
    const begun = gatheredKeys(this.#db, number, table);
    this.#gathered.set(table.name, begun);
    return begun;
  }
}
