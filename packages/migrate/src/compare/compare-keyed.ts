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
import { heldSides, type Moment, type Sides, type WrittenRow } from "./sides.ts";

const MAX_CHUNK_ROWS = 20_000;
/** Where Postgres has no index in the key's order, each chunk reads the whole table there: few and large ones. */
const MAX_UNINDEXED_CHUNK_ROWS = 100_000;
const CHUNK_BYTES = 32 * 1024 * 1024;
/** Rows that may be longer are digested one by one, so that no chunk is ever held as a whole. */
const LONG_ROW_BYTES = 4096;

export interface KeyedOptions {
  /** Whether Postgres can walk the key in SQLite's order by its index. */
  readonly isIndexed: boolean;
  /** Called after each chunk. */
  readonly afterChunk?: () => Promise<void>;
}

interface Keyed extends CompareInput, DigestForm {
  readonly chunkRows: number;
}

interface Chunk extends RowsOfBoth {
  /** Null: rows whose key is NULL. */
  readonly range: KeyRange | null;
}

/** Compares a table chunk by chunk in the order of its key: one digest a chunk, and rows only where they differ. */
export async function compareKeyed(
  input: CompareInput,
  differences: Differences,
  { isIndexed, afterChunk }: KeyedOptions = { isIndexed: true },
): Promise<void> {
  const keyed = keyedOf(input, isIndexed);
  const sides = input.sides ?? heldSides(input.client);
  await sides.gather(input.table, input.signal);
  let rows = 0;
  for await (const chunk of chunksOf(keyed, sides)) {
    input.signal.throwIfAborted();
    rows += await sides.look((moment) => compareChunk(keyed, moment, chunk, differences));
    input.report({ note: `${input.table.name}: ${rows} rows compared` });
    await afterChunk?.();
    await nextTurn();
  }
}

function keyedOf(input: CompareInput, isIndexed: boolean): Keyed {
  const { maxRowBytes } = input.table;
  const fitting = Math.floor(CHUNK_BYTES / Math.min(LONG_ROW_BYTES, maxRowBytes + 1));
  return {
    ...input,
    terms: keyTerms(input.table),
    canon: rowCanon(input.table),
    chunkRows: isIndexed
      ? Math.max(1, Math.min(MAX_CHUNK_ROWS, fitting))
      : MAX_UNINDEXED_CHUNK_ROWS,
    byRow: !isIndexed || maxRowBytes > LONG_ROW_BYTES,
  };
}

async function* chunksOf(input: Keyed, sides: Sides): AsyncGenerator<Chunk> {
  const { terms } = input;
  // A key that is NULL, as SQLite allows, is of no range; Postgres has none.
  const isNull = `(${terms.map((term) => `${term.column} IS NULL`).join(" OR ")})`;
  for await (const range of keyRanges(input, terms, input.chunkRows, sides)) {
    const { where, values } = sqliteRange(terms, range);
    const sqlite = { where: `${where === "" ? "WHERE" : `${where} AND`} NOT ${isNull}`, values };
    yield { range, sqlite, postgres: postgresRange(terms, range) };
  }
  yield {
    range: null,
    sqlite: { where: `WHERE ${isNull}`, values: [] },
    postgres: { where: "WHERE false", values: [] },
  };
}

/**
 * What was written since is left out of the digests, so that it does not make every chunk differ in which it lies, and is kept
 * to be looked at again.
 * @returns the number of rows in SQLite
 */
async function compareChunk(
  input: Keyed,
  moment: Moment,
  { range, ...rows }: Chunk,
  differences: Differences,
): Promise<number> {
  const isWritten = range !== null && moment.inSqlite((since) => since.any(input.table));
  const { here, there, written } = isWritten
    ? await digestUnwritten(input, moment, rows, range)
    : await digestAll(input, moment, rows);
  differences.rows(here.rows, there.rows);
  if (here.digest !== there.digest || (written.length === 0 && here.rows !== there.rows))
    await findDifferences(input, moment, input.terms, input.canon, rows, differences);
  else for (const row of written) differences.inFlight.add(row);
  return here.rows;
}

interface Digests {
  readonly here: RowsDigest;
  readonly there: RowsDigest;
  /** The rows that were left out. */
  readonly written: readonly WrittenRow[];
}

/** Both sides work at the same time. */
async function digestAll(input: Keyed, moment: Moment, rows: RowsOfBoth): Promise<Digests> {
  const asked = digestInPostgres(input, input, rows.postgres, []);
  // Where SQLite fails first, nobody is left to hear that this has failed too.
  asked.catch(() => undefined);
  // Once it is sent both sides work at the same time.
  await nextTurn();
  const here = moment.inSqlite(() => digestInSqlite(input, input, rows.sqlite, []));
  return { here, there: await asked, written: [] };
}

/** SQLite first: only its snapshot tells what Postgres is to leave out. */
async function digestUnwritten(
  input: Keyed,
  moment: Moment,
  rows: RowsOfBoth,
  range: KeyRange,
): Promise<Digests> {
  const { here, written, keys } = moment.inSqlite((since) => {
    const written = since.within(input.table, range);
    const keys = written.map(({ key }) => key);
    return { here: digestInSqlite(input, input, rows.sqlite, keys), written, keys };
  });
  return { here, there: await digestInPostgres(input, input, rows.postgres, keys), written };
}
