import { qualified } from "../ddl.ts";
import type { CompareInput } from "./compare-input.ts";
import type { Differences, UnlikeRow } from "./differences.ts";
import type { RowForm } from "./digest-rows.ts";
import { isToldByRowid } from "./logged-writes.ts";
import { postgresCanon, sqliteCanon } from "./row-canon.ts";
import { type RangeSql, spelledKeyIn } from "./row-key.ts";
import { RowsByKey } from "./rows-by-key.ts";
import { RowsHere, type RowThere } from "./rows-here.ts";
import type { Moment, WrittenSince } from "./sides.ts";

/** The same rows, as a WHERE clause of either side. */
export interface RowsOfBoth {
  readonly sqlite: RangeSql;
  readonly postgres: RangeSql;
}

/** Rows of Postgres that are held at once. */
const AT_ONCE = 2000;

/**
 * Names the rows by which the two sides of some rows differ, and for the first of them the columns. Those that SQLite
 * wrote since are not told to differ yet: they are kept to be looked at again.
 */
export async function findDifferences(
  input: CompareInput,
  moment: Moment,
  form: RowForm,
  rows: RowsOfBoth,
  differences: Differences,
): Promise<void> {
  // The log is read in younger snapshots than the rows: what it does not name there it did not name before.
  const tell = async (unlike: readonly UnlikeRow[]) => {
    if (unlike.length === 0) return;
    const found = moment.inSqlite((written) => {
      const proved = provedOf(input, written, unlike, differences);
      return { proved, columns: columnsHere(input, proved.slice(0, differences.room)) };
    });
    await nameDifferences(input, found.proved, found.columns, differences);
  };
  const here = moment.inSqlite(() => new RowsHere(input, form, rows.sqlite));
  for await (const batch of postgresRows(input, form, rows.postgres))
    await tell(batch.flatMap((row) => here.meet(row) ?? []));
  for (const batch of here.unlike(AT_ONCE)) await tell(batch);
}

/** Keeps those that are no proof apart. */
function provedOf(
  input: CompareInput,
  written: WrittenSince,
  unlike: readonly UnlikeRow[],
  differences: Differences,
): readonly UnlikeRow[] {
  const { table } = input;
  const isProof = (input.sides?.keepsRowids ?? true) || !isToldByRowid(table);
  const touched =
    isProof && written.isKnown(table)
      ? written.among(
          table,
          unlike.map(({ key }) => key),
        )
      : null;
  return unlike.filter((row) => {
    if (touched !== null && !touched.has(row.key)) return true;
    differences.inFlight.add(row);
    return false;
  });
}

/** Digests of the columns of rows that are on both sides, as SQLite holds them in the caller's snapshot. */
export function columnsHere(
  input: CompareInput,
  rows: readonly UnlikeRow[],
): ReadonlyMap<string, readonly unknown[]> {
  const different = rows.filter(({ kind }) => kind === "different");
  if (different.length === 0) return new Map();
  const digests = input.table.columns.map(
    (column) => `lifeboat_md5(CAST(${sqliteCanon(column)} AS BLOB))`,
  );
  const look = new RowsByKey(input).here(digests);
  return new Map(different.map(({ key }) => [key, look(key) ?? []]));
}

/** Adds proved differences, with the columns of those whose digests are given. */
export async function nameDifferences(
  input: CompareInput,
  proved: readonly UnlikeRow[],
  here: ReadonlyMap<string, readonly unknown[]>,
  differences: Differences,
): Promise<void> {
  const { columns } = input.table;
  const digests = columns.map((column) => `md5(${postgresCanon(column)})`);
  const there = await new RowsByKey(input).there([...here.keys()], digests);
  for (const { key, shown, kind } of proved) {
    const [mine, theirs] = [here.get(key), there.get(key)];
    const differing = columns
      .filter((_, at) => mine !== undefined && mine[at] !== theirs?.[at])
      .map((column) => column.source);
    differences.add({ key: shown, kind, columns: differing });
  }
}

/** Some at a time, in the caller's transaction. */
async function* postgresRows(
  { client, schema, table }: CompareInput,
  { terms, canon }: RowForm,
  { where, values }: RangeSql,
): AsyncGenerator<RowThere[]> {
  const shown = terms.map((term) => `coalesce(${term.shownIn}, '')`).join(" || ', ' || ");
  await client.query(
    `DECLARE lifeboat_rows NO SCROLL CURSOR FOR
     SELECT coalesce(${spelledKeyIn(terms)}, 'N') AS key, ${shown} AS shown, md5(${canon.postgres}) AS digest
     FROM ${qualified(schema, table.target)} ${where}`,
    [...values],
  );
  for (;;) {
    const { rows } = await client.query<RowThere>(`FETCH ${AT_ONCE} FROM lifeboat_rows`);
    if (rows.length === 0) break;
    yield rows;
  }
  await client.query("CLOSE lifeboat_rows");
}
