import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { qualified } from "../ddl.ts";
import type { PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import type { Differences } from "./differences.ts";
import { findDifferences, type RowsOfBoth } from "./find-differences.ts";
import { keyRanges } from "./key-ranges.ts";
import { type RowCanon, rowCanon } from "./row-canon.ts";
import { type KeyTerm, keyTerms, postgresRange, type RangeSql, sqliteRange } from "./row-key.ts";
import { heldSides, type Moment } from "./sides.ts";

const MAX_CHUNK_ROWS = 20_000;
/** Where Postgres has no index in the key's order, each chunk reads the whole table there: few and large ones. */
const MAX_UNINDEXED_CHUNK_ROWS = 100_000;
const CHUNK_BYTES = 32 * 1024 * 1024;
/** Rows that may be longer are digested one by one, so that no chunk is ever held as a whole. */
const LONG_ROW_BYTES = 4096;

/** In how many parts a table is compared whose key Postgres can walk, as many rows as it had when it was planned. */
export function partsOf(table: PlannedTable): number {
  return Math.ceil(table.rows / indexedChunkRows(table)) + 1;
}

export interface KeyedOptions {
  /** Whether Postgres can walk the key in SQLite's order by its index. */
  readonly isIndexed: boolean;
  /** Called after each chunk. */
  readonly afterChunk?: () => Promise<void>;
}

interface Keyed extends CompareInput {
  readonly terms: readonly KeyTerm[];
  readonly canon: RowCanon;
  readonly chunkRows: number;
  /** Digests the rows of a chunk one by one. */
  readonly byRow: boolean;
}

/** Compares a table chunk by chunk in the order of its key: one digest a chunk, and rows only where they differ. */
export async function compareKeyed(
  input: CompareInput,
  differences: Differences,
  { isIndexed, afterChunk }: KeyedOptions = { isIndexed: true },
): Promise<void> {
  const keyed = keyedOf(input, isIndexed);
  const sides = input.sides ?? heldSides(input.client);
  let rows = 0;
  for await (const chunk of chunksOf(keyed, sides.ask)) {
    input.signal.throwIfAborted();
    rows += await sides.look((moment) => compareChunk(keyed, moment, chunk, differences));
    input.report({ note: `${input.table.name}: ${rows} rows compared` });
    await afterChunk?.();
    await nextTurn();
  }
}

function keyedOf(input: CompareInput, isIndexed: boolean): Keyed {
  return {
    ...input,
    terms: keyTerms(input.table),
    canon: rowCanon(input.table),
    chunkRows: isIndexed ? indexedChunkRows(input.table) : MAX_UNINDEXED_CHUNK_ROWS,
    byRow: !isIndexed || input.table.maxRowBytes > LONG_ROW_BYTES,
  };
}

function indexedChunkRows({ maxRowBytes }: PlannedTable): number {
  const fitting = Math.floor(CHUNK_BYTES / Math.min(LONG_ROW_BYTES, maxRowBytes + 1));
  return Math.max(1, Math.min(MAX_CHUNK_ROWS, fitting));
}

async function* chunksOf(
  input: Keyed,
  ask: Parameters<typeof keyRanges>[3],
): AsyncGenerator<RowsOfBoth> {
  const { terms } = input;
  // A key that is NULL, as SQLite allows, is of no range; Postgres has none.
  const isNull = `(${terms.map((term) => `${term.column} IS NULL`).join(" OR ")})`;
  for await (const range of keyRanges(input, terms, input.chunkRows, ask)) {
    const { where, values } = sqliteRange(terms, range);
    const sqlite = { where: `${where === "" ? "WHERE" : `${where} AND`} NOT ${isNull}`, values };
    yield { sqlite, postgres: postgresRange(terms, range) };
  }
  yield {
    sqlite: { where: `WHERE ${isNull}`, values: [] },
    postgres: { where: "WHERE false", values: [] },
  };
}

/** @returns the number of rows in SQLite */
async function compareChunk(
  input: Keyed,
  moment: Moment,
  rows: RowsOfBoth,
  differences: Differences,
): Promise<number> {
  const asked = postgresChunk(input, rows.postgres);
  // Where SQLite fails first, nobody is left to hear that this has failed too.
  asked.catch(() => undefined);
  // Once it is sent both sides work at the same time.
  await nextTurn();
  const here = moment.inSqlite(() => sqliteChunk(input, rows.sqlite));
  const there = await asked;
  differences.rows(here.rows, there.rows);
  if (here.digest !== there.digest || here.rows !== there.rows)
    await findDifferences(input, moment, input.terms, input.canon, rows, differences);
  return here.rows;
}

interface Chunk {
  readonly rows: number;
  readonly digest: string;
}

function sqliteChunk(input: Keyed, { where, values }: RangeSql): Chunk {
  const row = input.byRow ? `lifeboat_md5(${input.canon.sqlite})` : input.canon.sqlite;
  const order = input.terms.map((term) => term.sqlite).join(", ");
  const [rows, content] = input.db
    .prepare(
      `SELECT count(*), CAST(group_concat(line, '') AS BLOB)
       FROM (SELECT ${row} AS line FROM ${quoteName(input.table.name)} ${where} ORDER BY ${order})`,
    )
    .raw()
    .get(...values) as [bigint, Buffer | null];
  const digest = createHash("md5")
    .update(content ?? Buffer.alloc(0))
    .digest("hex");
  return { rows: Number(rows), digest };
}

async function postgresChunk(input: Keyed, { where, values }: RangeSql): Promise<Chunk> {
  const order = input.terms.map((term) => term.postgres).join(", ");
  const bytes = input.canon.bytes && !input.byRow;
  const row = input.byRow ? `md5(${input.canon.postgres})` : input.canon.postgres;
  const nothing = bytes ? "''::bytea" : "''";
  const { rows } = await input.client.query<{ rows: string; digest: string }>(
    `SELECT count(*) AS rows, md5(coalesce(string_agg(${row}, ${nothing} ORDER BY ${order}), ${nothing})) AS digest
     FROM ${qualified(input.schema, input.table.target)} ${where}`,
    [...values],
  );
  return { rows: Number(rows[0]?.rows), digest: rows[0]?.digest ?? "" };
}
