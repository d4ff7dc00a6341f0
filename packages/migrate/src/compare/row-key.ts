import { codecNamed } from "../codec/registry.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { sameName } from "../sqlite/schema.ts";

/** A key's column as both databases sort by it in one and the same order. */
export interface KeyTerm {
  readonly sqlite: string;
  /** SQLite: the value as Postgres reads it in a parameter. */
  readonly input: string;
  readonly postgres: string;
  /** The type of that parameter. */
  readonly type: string;
  /** The value as both sides spell it alike, as text; and as Postgres shows it. */
  readonly canon: string;
  readonly canonIn: string;
  readonly shownIn: string;
}

/** The terms of a table's key; empty where nothing tells its rows apart. */
export function keyTerms(table: PlannedTable): KeyTerm[] {
  return table.key.map((name) => {
    const column = table.columns.find((one) => sameName(one.source, name));
    if (!column) throw new Error(`key column ${name} of ${table.name} is not in the plan`);
    return termOf(column);
  });
}

function termOf(column: PlannedColumn): KeyTerm {
  const codec = codecNamed(column.codec);
  const c = quoteName(column.source);
  const p = quoteName(column.target);
  const { type } = column;
  const alike = {
    canon: codec.bytes ? `lower(hex(${codec.canon(c)}))` : `CAST(${codec.canon(c)} AS TEXT)`,
    canonIn: codec.bytes ? `encode(${codec.canonIn(p)}, 'hex')` : codec.canonIn(p),
    shownIn: `${p}::text`,
  };
  if (!codec.ordered) {
    const sqlite = `(${codec.canon(c)}) COLLATE BINARY`;
    const postgres = `(${codec.canonIn(p)}) COLLATE "C"`;
    return { ...alike, sqlite, input: codec.canon(c), postgres, type: "text" };
  }
  const input = `CAST(${codec.input(c)} AS TEXT)`;
  if (type !== "text") return { ...alike, sqlite: c, input, postgres: p, type };
  return { ...alike, sqlite: `${c} COLLATE BINARY`, input, postgres: `${p} COLLATE "C"`, type };
}

/** Where a chunk begins (after) or ends (with): the key as SQLite holds it, and as Postgres reads it. */
export interface KeyBound {
  readonly raw: readonly unknown[];
  readonly input: readonly string[];
}

/** The rows after `from` up to and with `to`; null is the end of the table on that side. */
export interface KeyRange {
  readonly from: KeyBound | null;
  readonly to: KeyBound | null;
}

/** A WHERE clause and its parameters, for either side. */
export interface RangeSql {
  readonly where: string;
  readonly values: readonly unknown[];
}

export function sqliteRange(terms: readonly KeyTerm[], range: KeyRange): RangeSql {
  const key = `(${terms.map((term) => term.sqlite).join(", ")})`;
  const marks = `(${terms.map(() => "?").join(", ")})`;
  const tests = [
    ...(range.from ? [`${key} > ${marks}`] : []),
    ...(range.to ? [`${key} <= ${marks}`] : []),
  ];
  return {
    where: tests.length > 0 ? `WHERE ${tests.join(" AND ")}` : "",
    values: [...(range.from?.raw ?? []), ...(range.to?.raw ?? [])],
  };
}

export function postgresRange(terms: readonly KeyTerm[], range: KeyRange): RangeSql {
  const values: unknown[] = [];
  const key = `ROW(${terms.map((term) => term.postgres).join(", ")})`;
  const bound = (input: readonly string[]) =>
    `ROW(${terms.map((term, index) => `$${values.push(input[index])}::${term.type}`).join(", ")})`;
  const tests = [
    ...(range.from ? [`${key} > ${bound(range.from.input)}`] : []),
    ...(range.to ? [`${key} <= ${bound(range.to.input)}`] : []),
  ];
  return { where: tests.length > 0 ? `WHERE ${tests.join(" AND ")}` : "", values };
}
