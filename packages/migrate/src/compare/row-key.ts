import { logColumns } from "../capture/row-identity.ts";
import type { Codec } from "../codec/codec.ts";
import { codecNamed } from "../codec/registry.ts";
import { concatenation } from "../concatenation.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { sameName } from "../sqlite/schema.ts";

/** A key's column as both databases sort by it in one and the same order. */
export interface KeyTerm {
  /** The column in SQLite, and in Postgres. */
  readonly column: string;
  readonly target: string;
  readonly sqlite: string;
  /** SQLite: what is read of a row where a chunk ends, and how a parameter gives it back. */
  readonly raw: string;
  readonly mark: string;
  /** SQLite: the value as Postgres reads it in a parameter. */
  readonly input: string;
  readonly postgres: string;
  /** The type of that parameter. */
  readonly type: string;
  /**
   * The value as both sides spell it alike: ASCII without a comma. A class that the codec does not take is spelled
   * like no value of Postgres, and by its class, so that 1 and '1' are two keys.
   */
  readonly spelled: string;
  readonly spelledIn: string;
  /** As Postgres shows it. */
  readonly shownIn: string;
  /** The column's own type in Postgres, which its index compares by. */
  readonly ownType: string;
  /** False where several values of SQLite are one in Postgres. */
  readonly isReversible: boolean;
  /** The bound of a chunk as either side spells it; equal where both order by one and the same value. */
  readonly bound: string;
  boundIn(parameter: string): string;
  /** SQLite: the stored value again, from what `spelled` gives; and of that what Postgres reads as `ownType`. */
  stored(spelled: string): string;
  inputOf(stored: string): string;
}

/** The terms of a table's key; empty where nothing tells its rows apart. */
export function keyTerms(table: PlannedTable): KeyTerm[] {
  return keyColumns(table).map((column) => termOf(column, quoteName(column.source)));
}

/** The same of the change log's columns, which hold the keys as they are. */
export function loggedTerms(table: PlannedTable): KeyTerm[] {
  const names = logColumns(table.key.length);
  return keyColumns(table).map((column, at) => termOf(column, names[at] ?? ""));
}

function keyColumns(table: PlannedTable): PlannedColumn[] {
  return table.key.map((name) => {
    const column = table.columns.find((one) => sameName(one.source, name));
    if (!column) throw new Error(`key column ${name} of ${table.name} is not in the plan`);
    return column;
  });
}

function termOf(column: PlannedColumn, c: string): KeyTerm {
  const codec = codecNamed(column.codec);
  const p = quoteName(column.target);
  const { type } = column;
  const alike = {
    column: c,
    target: p,
    spelled: spelled(column, c),
    spelledIn: spelledIn(column, p),
    stored: (key: string) => stored(column, key),
    shownIn: `${p}::text`,
    ownType: type,
    isReversible: codec.name !== "text-cleaned",
    inputOf: (stored: string) => `CAST(${codec.input(stored)} AS TEXT)`,
  };
  if (!codec.ordered) {
    const sqlite = `(${codec.canon(c)}) COLLATE BINARY`;
    const postgres = `(${codec.canonIn(p)}) COLLATE "C"`;
    const bound = `'V' || ${hexOf(codec.canon(c))}`;
    const boundIn = (parameter: string) => `'V' || ${hexOfText(parameter)}`;
    const plain = { raw: sqlite, mark: "?", postgres, type: "text" };
    return { ...alike, ...plain, sqlite, input: codec.canon(c), bound, boundIn };
  }
  const bound = { bound: alike.spelled, boundIn: (value: string) => spelledIn(column, value) };
  const input = `CAST(${codec.input(c)} AS TEXT)`;
  if (codec.bytes && codec.classes.includes("text")) {
    // JavaScript would make one text of all that are no UTF-8.
    const bytes = { raw: `CAST(${c} AS BLOB)`, mark: "CAST(? AS TEXT)" };
    return {
      ...alike,
      ...bound,
      ...bytes,
      sqlite: `${c} COLLATE BINARY`,
      input,
      postgres: p,
      type,
    };
  }
  const plain = { raw: c, mark: "?" };
  if (type !== "text") return { ...alike, ...bound, ...plain, sqlite: c, input, postgres: p, type };
  const [sqlite, postgres] = [`${c} COLLATE BINARY`, `${p} COLLATE "C"`];
  return { ...alike, ...bound, ...plain, sqlite, input, postgres, type };
}

/** Texts go by their bytes: JavaScript would make one of all that are no UTF-8. Numbers are ASCII as they are. */
function spelled(column: PlannedColumn, c: string): string {
  const codec = codecNamed(column.codec);
  const admitted = codec.classes.map((name) => `'${name}'`).join(", ");
  const canon = isNumber(codec) ? `(${codec.canon(c)})` : hexOf(codec.canon(c));
  const strange = `CASE typeof(${c}) WHEN 'real' THEN lifeboat_real_hex(${c}) ELSE hex(CAST(${c} AS BLOB)) END`;
  return `CASE WHEN ${c} IS NULL THEN 'N' WHEN typeof(${c}) IN (${admitted}) THEN 'V' || ${canon} ELSE '!' || typeof(${c}) || (${strange}) END`;
}

function spelledIn(column: PlannedColumn, p: string): string {
  const codec = codecNamed(column.codec);
  const canon = `(${codec.canonIn(p)})`;
  if (isNumber(codec)) return `'V' || ${canon}`;
  return `'V' || ${codec.bytes ? `encode(${canon}, 'hex')` : hexOfText(canon)}`;
}

function stored(column: PlannedColumn, key: string): string {
  const codec = codecNamed(column.codec);
  const rest = `substr(${key}, 2)`;
  if (isNumber(codec)) return codec.decode(rest);
  return codec.decode(codec.bytes ? `unhex(${rest})` : `CAST(unhex(${rest}) AS TEXT)`);
}

function isNumber({ classes }: Codec): boolean {
  return classes.every((name) => name === "integer" || name === "real");
}

function hexOf(c: string): string {
  return `lower(hex(CAST(${c} AS BLOB)))`;
}

function hexOfText(text: string): string {
  return `encode(convert_to(${text}, 'UTF8'), 'hex')`;
}

/** SQL: the whole key of a row as both sides spell it alike. */
export function spelledKey(terms: readonly KeyTerm[]): string {
  return joined(terms.map((term) => `(${term.spelled})`));
}

export function spelledKeyIn(terms: readonly KeyTerm[]): string {
  return joined(terms.map((term) => `(${term.spelledIn})`));
}

function joined(parts: readonly string[]): string {
  return concatenation(parts.flatMap((part, at) => (at === 0 ? [part] : ["','", part])));
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

/** SQLite: of a key all its `raw` parts, then all its `input` ones, then all that say what its bounds are. */
export function boundColumns(terms: readonly KeyTerm[]): string {
  const parts = (["raw", "input", "bound"] as const).flatMap((part) =>
    terms.map((term) => term[part]),
  );
  return parts.join(", ");
}

/** A WHERE clause and its parameters, for either side. */
export interface RangeSql {
  readonly where: string;
  readonly values: readonly unknown[];
}

export function sqliteRange(terms: readonly KeyTerm[], range: KeyRange): RangeSql {
  const key = `(${terms.map((term) => term.sqlite).join(", ")})`;
  const marks = `(${terms.map(({ mark }) => mark).join(", ")})`;
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
