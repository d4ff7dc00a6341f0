import type { CompareInput, Differences } from "../compare.ts";
import { qualified } from "../ddl.ts";
import { quoteName } from "../quote.ts";
import { postgresCanon, type RowCanon, sqliteCanon } from "./row-canon.ts";
import {
  type KeyBound,
  type KeyTerm,
  postgresRange,
  type RangeSql,
  sqliteRange,
} from "./row-key.ts";

/** The same rows, as a WHERE clause of either side. */
export interface RowsOfBoth {
  readonly sqlite: RangeSql;
  readonly postgres: RangeSql;
}

/** Names the rows by which the two sides of some rows differ, and for the first of them the columns. */
export async function findDifferences(
  input: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  rows: RowsOfBoth,
  differences: Differences,
): Promise<void> {
  const here = sqliteRows(input, terms, canon, rows.sqlite);
  const there = await postgresRows(input, terms, canon, rows.postgres);
  for (const [key, row] of here) {
    const other = there.get(key);
    if (other === undefined)
      differences.add({ key: row.shown, kind: "missing-in-postgres", columns: [] });
    else if (other.digest !== row.digest)
      differences.add({
        key: row.shown,
        kind: "different",
        columns: differences.full ? [] : await differingColumns(input, terms, row.bound),
      });
  }
  for (const [key, row] of there)
    if (!here.has(key)) differences.add({ key: row.shown, kind: "missing-in-sqlite", columns: [] });
}

interface Row {
  /** The key as people read it. */
  readonly shown: string;
  readonly digest: string;
}

/** By the key as both sides spell it alike. */
type Rows<R extends Row = Row> = ReadonlyMap<string, R>;

function sqliteRows(
  input: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  { where, values }: RangeSql,
): Rows<Row & { readonly bound: KeyBound }> {
  const columns = [
    ...terms.map((term) => term.canon),
    ...terms.map((term) => term.sqlite),
    ...terms.map((term) => term.input),
  ];
  const rows = input.db
    .prepare(
      `SELECT lifeboat_md5(${canon.sqlite}), ${columns.join(", ")} FROM ${quoteName(input.table.name)} ${where}`,
    )
    .raw()
    .all(...values) as unknown[][];
  const count = terms.length;
  return new Map(
    rows.map(([digest, ...rest]) => {
      const raw = rest.slice(count, 2 * count);
      const shown = rest.slice(2 * count).map(String);
      const row = { shown: shown.join(", "), digest: String(digest), bound: { raw, input: shown } };
      return [JSON.stringify(rest.slice(0, count)), row];
    }),
  );
}

async function postgresRows(
  input: CompareInput,
  terms: readonly KeyTerm[],
  canon: RowCanon,
  { where, values }: RangeSql,
): Promise<Rows> {
  const columns = [...terms.map((term) => term.canonIn), ...terms.map((term) => term.shownIn)];
  const { rows } = await input.client.query<string[]>({
    text: `SELECT md5(${canon.postgres}), ${columns.join(", ")} FROM ${qualified(input.schema, input.table.target)} ${where}`,
    values: [...values],
    rowMode: "array",
  });
  return new Map(
    rows.map(([digest = "", ...rest]) => {
      const shown = rest.slice(terms.length).join(", ");
      return [JSON.stringify(rest.slice(0, terms.length)), { shown, digest }];
    }),
  );
}

async function differingColumns(
  input: CompareInput,
  terms: readonly KeyTerm[],
  bound: KeyBound,
): Promise<string[]> {
  const { columns } = input.table;
  const here = sqliteRange(terms, { from: null, to: bound });
  const mine = input.db
    .prepare(
      `SELECT ${columns.map((column) => `lifeboat_md5(CAST(${sqliteCanon(column)} AS BLOB))`).join(", ")}
       FROM ${quoteName(input.table.name)} ${here.where.replace("<=", "=")}`,
    )
    .raw()
    .get(...here.values) as string[] | undefined;
  const there = postgresRange(terms, { from: null, to: bound });
  const { rows } = await input.client.query<string[]>({
    text: `SELECT ${columns.map((column) => `md5(${postgresCanon(column)})`).join(", ")}
       FROM ${qualified(input.schema, input.table.target)} ${there.where.replace("<=", "=")}`,
    values: [...there.values],
    rowMode: "array",
  });
  return columns
    .filter((_, index) => mine?.[index] !== rows[0]?.[index])
    .map((column) => column.source);
}
