import { setImmediate as nextTurn } from "node:timers/promises";
import type { CompareInput } from "./compare-input.ts";
import type { Differences } from "./differences.ts";
import {
  type DigestForm,
  digestInPostgres,
  digestInSqlite,
  type RowsDigest,
} from "./digest-rows.ts";
import { findDifferences, type RowsOfBoth } from "./find-differences.ts";
import { keyRanges } from "./key-ranges.ts";
import { rowCanon } from "./row-canon.ts";
import { type KeyRange, keyTerms, postgresRange, sqliteRange } from "./row-key.ts";
import { heldSides, type Moment, NO_ROWS, type Sides, type WrittenRows } from "./sides.ts";

const MAX_CHUNK_ROWS = 20_000;
/** Of which the rows are compared one by one where their digests differ: so many keys of SQLite are held in memory. */
const MAX_NAMED_ROWS = 20_000;
/**
 * Where Postgres has no index in the key's order, each chunk reads the whole table there: few and large ones, unless SQLite's
 * snapshot of one would be held for long.
 */
const UNINDEXED_CHUNKS = 20;
const MIN_UNINDEXED_CHUNK_ROWS = 100_000;
const MAX_UNINDEXED_CHUNK_ROWS = 500_000;
const CHUNK_BYTES = 32 * 1024 * 1024;
/** Rows that may be longer are digested one by one, so that no chunk is ever held as a whole. */
const LONG_ROW_BYTES = 4096;

export interface KeyedOptions {
  /** Whether Postgres can walk the key in SQLite's order by its index. */
  readonly isIndexed: boolean;
  /** How many rows a chunk has, and those parts of it that are looked at where it differs; as fits the table when left out. */
  readonly sizes?: ChunkSizes;
  /** Called after each chunk. */
  readonly afterChunk?: () => Promise<void>;
}

interface ChunkSizes {
  readonly chunkRows: number;
  readonly partRows: number;
}

interface Keyed extends CompareInput, DigestForm, ChunkSizes {}

interface Chunk extends RowsOfBoth {
  /** Null: rows whose key is NULL. */
  readonly range: KeyRange | null;
}

/** Compares a table chunk by chunk in the order of its key: one digest a chunk, and rows only where they differ. */
export async function compareKeyed(
  input: CompareInput,
  differences: Differences,
  { isIndexed, sizes, afterChunk }: KeyedOptions,
): Promise<void> {
  const keyed = { ...keyedOf(input, isIndexed), ...sizes };
  const sides = input.sides ?? heldSides(input.client);
  await sides.gather(input.table, input.signal);
  let rows = 0;
  for await (const chunk of chunksOf(keyed, sides)) {
    rows += await compareWhole(keyed, sides, chunk, differences);
    input.report({ note: `${input.table.name}: ${rows} rows compared` });
    await afterChunk?.();
    await nextTurn();
  }
}

/**
 * A chunk of very many rows is looked at in parts where it differs.
 * @returns the number of rows in SQLite
 */
async function compareWhole(
  input: Keyed,
  sides: Sides,
  chunk: Chunk,
  differences: Differences,
): Promise<number> {
  input.signal.throwIfAborted();
  const compare = (keyed: Keyed, one: Chunk) =>
    sides.look((moment) => compareChunk(keyed, moment, one, differences));
  const { rows, isTold } = await compare(input, chunk);
  if (isTold || chunk.range === null) return rows;
  const ofPart = { ...input, chunkRows: input.partRows, partRows: Number.POSITIVE_INFINITY };
  for await (const part of rangesOf(ofPart, sides, chunk.range)) {
    input.signal.throwIfAborted();
    await compare(ofPart, part);
  }
  return rows;
}

function keyedOf(input: CompareInput, isIndexed: boolean): Keyed {
  const { rows, maxRowBytes } = input.table;
  const fitting = Math.floor(CHUNK_BYTES / Math.min(LONG_ROW_BYTES, maxRowBytes + 1));
  const few = Math.min(MAX_UNINDEXED_CHUNK_ROWS, Math.ceil(rows / UNINDEXED_CHUNKS));
  return {
    ...input,
    terms: keyTerms(input.table),
    canon: rowCanon(input.table),
    chunkRows: isIndexed
      ? Math.max(1, Math.min(MAX_CHUNK_ROWS, fitting))
      : Math.max(MIN_UNINDEXED_CHUNK_ROWS, few),
    partRows: MAX_NAMED_ROWS,
    byRow: !isIndexed || maxRowBytes > LONG_ROW_BYTES,
  };
}

async function* chunksOf(input: Keyed, sides: Sides): AsyncGenerator<Chunk> {
  yield* rangesOf(input, sides, { from: null, to: null });
  yield {
    range: null,
    sqlite: { where: `WHERE ${isNull(input)}`, values: [] },
    postgres: { where: "WHERE false", values: [] },
  };
}

async function* rangesOf(input: Keyed, sides: Sides, within: KeyRange): AsyncGenerator<Chunk> {
  const { terms, chunkRows } = input;
  for await (const range of keyRanges(input, terms, { rows: chunkRows, within }, sides)) {
    const { where, values } = sqliteRange(terms, range);
    const sqlite = {
      where: `${where === "" ? "WHERE" : `${where} AND`} NOT ${isNull(input)}`,
      values,
    };
    yield { range, sqlite, postgres: postgresRange(terms, range) };
  }
}

/** A key that is NULL, as SQLite allows, is of no range; Postgres has none. */
function isNull({ terms }: Keyed): string {
  return `(${terms.map((term) => `${term.column} IS NULL`).join(" OR ")})`;
}

interface Compared {
  /** In SQLite. */
  readonly rows: number;
  /** False: it differs, and holds too many to be compared one by one. */
  readonly isTold: boolean;
}

/**
 * What was written since is left out of the digests, so that it does not make every chunk differ in which it lies, and is kept
 * to be looked at again.
 */
async function compareChunk(
  input: Keyed,
  moment: Moment,
  { range, ...rows }: Chunk,
  differences: Differences,
): Promise<Compared> {
  const isWritten = range !== null && moment.inSqlite((since) => since.any(input.table));
  const { here, there, written } = isWritten
    ? await digestUnwritten(input, moment, rows, range, differences.inFlight.room)
    : await digestAll(input, moment, rows);
  const isEqual = here.digest === there.digest;
  if (!isEqual && range !== null && here.rows > input.partRows)
    return { rows: here.rows, isTold: false };
  differences.rows(here.rows, there.rows);
  if (isEqual) differences.inFlight.addAll(written);
  else await findDifferences(input, moment, input, rows, differences);
  return { rows: here.rows, isTold: true };
}

interface Digests {
  readonly here: RowsDigest;
  readonly there: RowsDigest;
  /** The rows that were left out. */
  readonly written: WrittenRows;
}

/** Both sides work at the same time. */
async function digestAll(input: Keyed, moment: Moment, rows: RowsOfBoth): Promise<Digests> {
  const asked = digestInPostgres(input, input, rows.postgres, "");
  // Where SQLite fails first, nobody is left to hear that this has failed too.
  asked.catch(() => undefined);
  // Once it is sent both sides work at the same time.
  await nextTurn();
  const here = moment.inSqlite(() => digestInSqlite(input, input, rows.sqlite, ""));
  return { here, there: await asked, written: NO_ROWS };
}

/** SQLite first: only its snapshot tells what Postgres is to leave out. */
async function digestUnwritten(
  input: Keyed,
  moment: Moment,
  rows: RowsOfBoth,
  range: KeyRange,
  mostTold: number,
): Promise<Digests> {
  const { here, written } = moment.inSqlite((since) => {
    const written = since.within(input.table, range, mostTold);
    return { here: digestInSqlite(input, input, rows.sqlite, written.keys), written };
  });
  const there = await digestInPostgres(input, input, rows.postgres, written.keys);
  return { here, there, written };
}
