import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CompareInput, Differences } from "../compare.ts";
import { qualified } from "../ddl.ts";
import { quoteName } from "../quote.ts";
import { findDifferences } from "./find-differences.ts";
import { type RowCanon, rowCanon } from "./row-canon.ts";
import {
  type KeyBound,
  type KeyRange,
  type KeyTerm,
  keyTerms,
  postgresRange,
  sqliteRange,
} from "./row-key.ts";

const MAX_CHUNK_ROWS = 20_000;
const CHUNK_BYTES = 32 * 1024 * 1024;
/** Rows that may be longer are digested one by one, so that no chunk is ever held as a whole. */
const LONG_ROW_BYTES = 4096;

/** Compares a table chunk by chunk in the order of its key: one digest a chunk, and rows only where they differ. */
export async function compareKeyed(input: CompareInput, differences: Differences): Promise<void> {
  const terms = keyTerms(input.table);
  const canon = rowCanon(input.table);
  let rows = 0;
  for (const range of keyRanges(input, terms)) {
    input.signal.throwIfAborted();
    const here = sqliteChunk(input, terms, canon, range);
    const there = await postgresChunk(input, terms, canon, range);
    differences.rows(here.rows, there.rows);
    rows += here.rows;
    input.report({ note: `${input.table.name}: ${rows} rows compared` });
    if (here.digest !== there.digest || here.rows !== there.rows)
      await findDifferences(
        input,
        terms,
        canon,
        { sqlite: sqliteRange(terms, range), postgres: postgresRange(terms, range) },
        differences,
      );
    await nextTurn();
  }
}

function* keyRanges({ db, table }: CompareInput, terms: readonly KeyTerm[]): Generator<KeyRange> {
  const rows = Math.max(
    1,
    Math.min(
      MAX_CHUNK_ROWS,
      Math.floor(CHUNK_BYTES / Math.min(LONG_ROW_BYTES, table.maxRowBytes + 1)),
    ),
  );
  const columns = [...terms.map((term) => term.sqlite), ...terms.map((term) => term.input)];
  const order = terms.map((term) => term.sqlite).join(", ");
  let from: KeyBound | null = null;
  for (;;) {
    const after = sqliteRange(terms, { from, to: null });
    const row = db
      .prepare(
        `SELECT ${columns.join(", ")} FROM ${quoteName(table.name)} ${after.where} ORDER BY ${order} LIMIT 1 OFFSET ${rows - 1}`,
      )
      .raw()
      .get(...after.values) as unknown[] | undefined;
    if (!row) break;
    const to: KeyBound = {
      raw: row.slice(0, terms.length),
      input: row.slice(terms.length).map(String),
    };
    yield { from, to };
    from = to;
  }
  // What lies behind the last key of SQLite belongs to the last chunk.
  yield { from, to: null };
}

interface Chunk {
  readonly rows: number;
  readonly digest: string;
}

function isLong(input: CompareInput): boolean {
  return input.table.maxRowBytes > LONG_ROW_BYTES;
}

function sqliteChunk(
  input: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  range: KeyRange,
): Chunk {
  const { where, values } = sqliteRange(terms, range);
  const row = isLong(input) ? `lifeboat_md5(${canon.sqlite})` : canon.sqlite;
  const order = terms.map((term) => term.sqlite).join(", ");
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

async function postgresChunk(
  input: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  range: KeyRange,
): Promise<Chunk> {
  const { where, values } = postgresRange(terms, range);
  const order = terms.map((term) => term.postgres).join(", ");
  const bytes = canon.bytes && !isLong(input);
  const row = isLong(input) ? `md5(${canon.postgres})` : canon.postgres;
  const nothing = bytes ? "''::bytea" : "''";
  const { rows } = await input.client.query<{ rows: string; digest: string }>(
    `SELECT count(*) AS rows, md5(coalesce(string_agg(${row}, ${nothing} ORDER BY ${order}), ${nothing})) AS digest
     FROM ${qualified(input.schema, input.table.target)} ${where}`,
    [...values],
  );
  return { rows: Number(rows[0]?.rows), digest: rows[0]?.digest ?? "" };
}
