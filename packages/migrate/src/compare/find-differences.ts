import { qualified } from "../ddl.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import type { Difference, Differences } from "./differences.ts";
import { isToldByRowid } from "./logged-writes.ts";
import { postgresCanon, type RowCanon, sqliteCanon } from "./row-canon.ts";
import { type KeyTerm, type RangeSql, spelledKey, spelledKeyIn } from "./row-key.ts";
import { RowsByKey } from "./rows-by-key.ts";
import type { Moment, WrittenSince } from "./sides.ts";

/** The same rows, as a WHERE clause of either side. */
export interface RowsOfBoth {
  readonly sqlite: RangeSql;
  readonly postgres: RangeSql;
}

/** A row that the two sides do not hold alike. */
export interface UnlikeRow {
  /** As both sides spell it alike, and as people read it. */
  readonly key: string;
  readonly shown: string;
  readonly kind: Difference["kind"];
}

/**
 * Names the rows by which the two sides of some rows differ, and for the first of them the columns. Those that SQLite
 * wrote since are not told to differ yet: they are kept to be looked at again.
 */
export async function findDifferences(
  input: CompareInput,
  moment: Moment,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  rows: RowsOfBoth,
  differences: Differences,
): Promise<void> {
  const there = await postgresRows(input, terms, canon, rows.postgres);
  const found = moment.inSqlite((written) => {
    const unlike = unlikeRows(sqliteRows(input, terms, canon, rows.sqlite), there);
    const proved = provedOf(input, written, unlike, differences);
    return { proved, columns: columnsHere(input, proved.slice(0, differences.room)) };
  });
  await nameDifferences(input, found.proved, found.columns, differences);
}

/** Keeps those that are no proof apart. */
function provedOf(
  input: CompareInput,
  written: WrittenSince,
  unlike: readonly UnlikeRow[],
  differences: Differences,
): readonly UnlikeRow[] {
  if (unlike.length === 0) return [];
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

interface Row {
  /** The key as people read it. */
  readonly shown: string;
  readonly digest: string;
}

/** By the key as both sides spell it alike. */
type Rows = ReadonlyMap<string, Row>;

function unlikeRows(here: Rows, there: Rows): UnlikeRow[] {
  const unlike: UnlikeRow[] = [];
  for (const [key, { shown, digest }] of here) {
    const other = there.get(key);
    if (other?.digest === digest) continue;
    unlike.push({ key, shown, kind: other ? "different" : "missing-in-postgres" });
  }
  for (const [key, { shown }] of there)
    if (!here.has(key)) unlike.push({ key, shown, kind: "missing-in-sqlite" });
  return unlike;
}

function sqliteRows(
  { db, table }: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  { where, values }: RangeSql,
): Rows {
  const shown = terms.map((term) => term.input).join(", ");
  const rows = db
    .prepare<unknown[], unknown[]>(
      `SELECT ${spelledKey(terms)}, lifeboat_md5(${canon.sqlite}), ${shown} FROM ${quoteName(table.name)} ${where}`,
    )
    .raw()
    .all(...values);
  return byKey(rows);
}

async function postgresRows(
  { client, schema, table }: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  { where, values }: RangeSql,
): Promise<Rows> {
  const shown = terms.map((term) => term.shownIn).join(", ");
  const { rows } = await client.query<unknown[]>({
    text: `SELECT ${spelledKeyIn(terms)}, md5(${canon.postgres}), ${shown} FROM ${qualified(schema, table.target)} ${where}`,
    values: [...values],
    rowMode: "array",
  });
  return byKey(rows);
}

/** A key that comes twice, where no constraint of Postgres forbids it, is a row more. */
function byKey(rows: readonly unknown[][]): Rows {
  const found = new Map<string, Row>();
  for (const [spelled, digest, ...shown] of rows) {
    let key = String(spelled);
    while (found.has(key)) key += "+";
    found.set(key, { shown: shown.join(", "), digest: String(digest) });
  }
  return found;
}
