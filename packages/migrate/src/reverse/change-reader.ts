import { release } from "@lifeboat/core";
import type { Client } from "pg";
import { rowCanon } from "../compare/row-canon.ts";
import { qualified } from "../ddl.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { nameList, quoteName, quoteText } from "../quote.ts";
import { LOCK_TIMEOUT_MS } from "../target/hold-tables.ts";
import { canonInPostgres } from "./canon-columns.ts";
import { isForeign, isNewSince, loggedCopies } from "./log-since.ts";
import { comparedTable, loggedColumns, storedColumns } from "./logged-columns.ts";
import { isInPieces, PieceJoiner, piecesSql, type RowSource, rowBytes } from "./row-pieces.ts";
import { type StoredAs, storedAs } from "./stored-as.ts";

/** What is fetched at once stays small beside the memory that a migration may use. */
const CHUNK_BYTES = 8 * 1024 * 1024;
const MAX_ROWS = 1000;

/** What was written to one table since the last look. */
export interface TouchedTable {
  readonly table: PlannedTable;
  /** Entries of the log. */
  readonly entries: number;
  /** It was emptied, or written anew, so its rows are taken as they are. */
  readonly whole: boolean;
}

/** By which Postgres knows a look again that SQLite holds. */
export interface LookMark {
  readonly look: string;
  readonly before: string | null;
}

/** A row as Postgres holds it now: canons of the stored columns, and the digest of the whole row. */
export interface CanonRow {
  readonly values: readonly unknown[];
  readonly digest: string;
  /** Of keyed rows: which of the keys it was asked for by, from 0. Of others: how many came (or, below 0, went). */
  readonly mark: number;
}

/**
 * Reads what one look at the log shows, in one REPEATABLE READ transaction: the changes that were not visible to the
 * last look's snapshot and are to this one's, and the rows as they are in this one. A snapshot names every transaction that
 * still ran, so one that commits late is new at the next look, whatever the order of the log; and nothing
 * waits for the longest transaction of the cluster. See decision 35.
 */
export class ChangeReader {
  readonly snapshot: string;
  readonly #client: Client;
  readonly #plan: MigrationPlan;
  readonly #since: string;

  private constructor(client: Client, plan: MigrationPlan, since: string, snapshot: string) {
    this.#client = client;
    this.#plan = plan;
    this.#since = since;
    this.snapshot = snapshot;
  }

  /** @param since the snapshot up to which SQLite holds everything */
  static async begin(client: Client, plan: MigrationPlan, since: string): Promise<ChangeReader> {
    // It reads table after table, and lets go of none before its end: whoever wants those must not be waited for.
    await client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    );
    return ChangeReader.within(client, plan, since);
  }

  /** The same in the caller's REPEATABLE READ transaction. */
  static async within(client: Client, plan: MigrationPlan, since: string): Promise<ChangeReader> {
    const { rows } = await client.query<{ snapshot: string }>(
      "SELECT pg_current_snapshot()::text AS snapshot",
    );
    return new ChangeReader(client, plan, since, rows[0]?.snapshot ?? since);
  }

  async touched(): Promise<TouchedTable[]> {
    const { rows } = await this.#client.query<{
      relation: string;
      entries: string;
      whole: boolean;
    }>(
      `SELECT relation, count(*) AS entries, bool_or(key IS NULL) AS whole FROM lifeboat.changes
       WHERE relation = ANY ($1) AND ${isNewSince(this.#since)} GROUP BY relation`,
      [this.#plan.tables.map(({ target }) => target)],
    );
    return this.#plan.tables.flatMap((table) => {
      const found = rows.find((row) => row.relation === table.target);
      return found ? [{ table, entries: Number(found.entries), whole: found.whole }] : [];
    });
  }

  /** Whether an entry is of a transaction that this server has not begun yet: so it came by a dump of another one. By the index alone. */
  async hasForeign(): Promise<boolean> {
    const { rows } = await this.#client.query<{ found: boolean }>(
      `SELECT EXISTS (SELECT FROM lifeboat.changes WHERE relation = ANY ($1) AND ${isForeign(this.snapshot)}) AS found`,
      [this.#plan.tables.map(({ target }) => target)],
    );
    return rows[0]?.found === true;
  }

  /** Where each table is taken as it is: numbers of another server would be new at every look. Each is older than any of this one's then. */
  async ownForeign(): Promise<void> {
    await this.#client.query(
      `UPDATE lifeboat.changes SET xid = '2' WHERE ${isForeign(this.snapshot)}`,
    );
  }

  /** How the tables are stored now, by which rows are told that were written without a trigger. */
  stored(): Promise<StoredAs> {
    return storedAs(this.#client, this.#plan);
  }

  /** The keys of rows that were written, each once, as the log spells them. */
  keys(table: PlannedTable): AsyncGenerator<readonly (readonly string[])[]> {
    const sql = `SELECT DISTINCT key FROM lifeboat.changes WHERE ${isNewSince(this.#since, table)} AND key IS NOT NULL`;
    return this.#fetch({ sql, rows: MAX_ROWS, read: (row) => row[0] as string[] });
  }

  /** The canons of keys as the log spells them. */
  async keyCanons(
    table: PlannedTable,
    keys: readonly (readonly string[])[],
  ): Promise<readonly (readonly unknown[])[]> {
    const columns = loggedColumns(table);
    const named = columns.map(
      (column, at) => `lifeboat_k${at}::${column.type} AS ${quoteName(column.target)}`,
    );
    const { rows } = await this.#client.query<unknown[]>({
      text: `SELECT ${columns.map(canonInPostgres).join(", ")}
             FROM (SELECT ${named.join(", ")}, lifeboat_at FROM ${unnested(columns.length)}) AS keys ORDER BY lifeboat_at`,
      values: transposed(keys, columns.length),
      rowMode: "array",
    });
    return rows;
  }

  /** The rows that bear these keys now. */
  async *rowsOf(
    table: PlannedTable,
    keys: readonly (readonly string[])[],
  ): AsyncGenerator<readonly CanonRow[]> {
    const columns = loggedColumns(table);
    const joined = columns.map(
      (column, at) => `lifeboat_row.${quoteName(column.target)} = lifeboat_k${at}::${column.type}`,
    );
    const from = `${unnested(columns.length)} JOIN ${qualified(this.#plan.schema, table.target)} AS lifeboat_row ON ${joined.join(" AND ")}`;
    const values = transposed(keys, columns.length);
    yield* this.#rows({ table, from, mark: "lifeboat_at - 1", values });
  }

  /** Every row of a table. */
  async *allRows(table: PlannedTable): AsyncGenerator<readonly CanonRow[]> {
    yield* this.#rows({ table, from: qualified(this.#plan.schema, table.target), mark: "1" });
  }

  /** Of a table without a key: what came and went, by content; what went comes first. */
  async *copies(table: PlannedTable): AsyncGenerator<readonly CanonRow[]> {
    const logged = `lifeboat.changes WHERE ${isNewSince(this.#since, table)} AND key IS NOT NULL`;
    const from = `(${loggedCopies(this.#since, table)}) AS rows`;
    const bytes = "(SELECT sum(octet_length(part)) FROM unnest(key) AS part)";
    const largest = await this.#largest(bytes, logged);
    const order = "ORDER BY lifeboat_copies";
    yield* this.#rows({ table, from, mark: "lifeboat_copies", order, largest });
  }

  /** The last id that an identity column gave out; null where it gave none. */
  async lastIdentity(table: PlannedTable): Promise<bigint | null> {
    if (!table.identity) return null;
    const relation = quoteText(qualified(this.#plan.schema, table.target));
    const { rows } = await this.#client.query<{ name: string | null }>(
      `SELECT pg_get_serial_sequence(${relation}, ${quoteText(table.identity.column)}) AS name`,
    );
    const name = rows[0]?.name;
    if (!name) return null;
    const last = await this.#client.query<{ value: string | null }>(
      `SELECT CASE WHEN is_called THEN last_value END AS value FROM ${name}`,
    );
    const value = last.rows[0]?.value ?? null;
    return value === null ? null : BigInt(value);
  }

  /**
   * Ends the look, and makes what it saw lasting in Postgres before SQLite holds it: a commit that the server's
   * crash takes back (synchronous_commit = off) must not stay in SQLite. Entries that SQLite held already go.
   * @param batch the batch that SQLite holds already
   * @param mark of this look, and of the one that SQLite holds; absent where it brings nothing
   */
  async commit(batch: number, mark?: LookMark): Promise<void> {
    await this.#client.query(
      `DELETE FROM lifeboat.changes WHERE pg_visible_in_snapshot(xid, ${quoteText(this.#since)})`,
    );
    await this.#client.query("UPDATE lifeboat.followed SET batch = $1, at = clock_timestamp()", [
      batch,
    ]);
    if (mark)
      await this.#client.query("UPDATE lifeboat.followed SET look = $1, look_before = $2", [
        mark.look,
        mark.before,
      ]);
    await this.#client.query("COMMIT");
  }

  /** Some rows at a time, whose memory is the caller's only until the next are asked for. */
  async *#rows({
    table,
    from,
    mark,
    order,
    values = [],
    ...init
  }: Rows): AsyncGenerator<CanonRow[]> {
    const largest = init.largest ?? (await this.#largest(rowBytes(table), from, values));
    const digest = `md5(${rowCanon(comparedTable(table)).postgres})`;
    if (isInPieces(table, largest)) {
      const joiner = new PieceJoiner(table);
      const sql = piecesSql(table, { from, mark, digest, order });
      for await (const pieces of this.#fetch({ sql, values, rows: 1, read: (row) => row }))
        for (const piece of pieces) {
          const row = joiner.add(piece);
          if (!row) continue;
          yield [canonRow(row)];
          for (const value of row) if (Buffer.isBuffer(value)) release(value);
        }
      return;
    }
    const columns = [...storedColumns(table).map(canonInPostgres), digest, mark];
    // So many rows that they are small together: the largest that is there now, which the plan may never have seen, tells.
    const rows = Math.max(1, Math.min(MAX_ROWS, Math.floor(CHUNK_BYTES / largest)));
    const sql = `SELECT ${columns.join(", ")} FROM ${from} ${order ?? ""}`;
    yield* this.#fetch({ sql, values, rows, read: canonRow });
  }

  async #largest(bytes: string, from: string, values: unknown[] = []): Promise<number> {
    const { rows } = await this.#client.query<{ largest: string | null }>(
      `SELECT max(${bytes}) AS largest FROM ${from}`,
      values,
    );
    return Math.max(1, Number(rows[0]?.largest));
  }

  async *#fetch<T>({ sql, values = [], rows, read }: Fetched<T>): AsyncGenerator<T[]> {
    await this.#client.query(`DECLARE lifeboat_rows NO SCROLL CURSOR FOR ${sql}`, values);
    for (;;) {
      const fetched = await this.#client.query<unknown[]>({
        text: `FETCH ${rows} FROM lifeboat_rows`,
        rowMode: "array",
      });
      if (fetched.rows.length === 0) break;
      yield fetched.rows.map(read);
    }
    await this.#client.query("CLOSE lifeboat_rows");
  }
}

interface Rows extends Omit<RowSource, "digest"> {
  readonly table: PlannedTable;
  readonly values?: unknown[];
  /** Bytes of the largest row, where something other than its columns tells. */
  readonly largest?: number;
}

interface Fetched<T> {
  readonly sql: string;
  readonly values?: unknown[];
  /** How many at once. */
  readonly rows: number;
  readonly read: (row: unknown[]) => T;
}

/** How many entries SQLite does not hold yet. */
export async function countChanges(client: Client, since: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    "SELECT count(*) AS count FROM lifeboat.changes WHERE NOT pg_visible_in_snapshot(xid, $1::pg_snapshot)",
    [since],
  );
  return Number(rows[0]?.count);
}

function canonRow(row: unknown[]): CanonRow {
  return { values: row.slice(0, -2), digest: String(row.at(-2)), mark: Number(row.at(-1)) };
}

function unnested(columns: number): string {
  const names = Array.from({ length: columns }, (_, at) => `lifeboat_k${at}`);
  const arrays = names.map((_, at) => `$${at + 1}::text[]`);
  return `unnest(${arrays.join(", ")}) WITH ORDINALITY AS lifeboat_keys(${nameList([...names, "lifeboat_at"])})`;
}

function transposed(keys: readonly (readonly string[])[], columns: number): string[][] {
  return Array.from({ length: columns }, (_, at) => keys.map((key) => key[at] ?? ""));
}
