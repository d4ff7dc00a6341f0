import { ISO_SHAPES, isoTest, verbatim } from "./iso-shape.ts";

/** How many values of which class and shape a column holds. */
export interface ColumnProfile {
  readonly nulls: number;
  readonly integers: number;
  readonly reals: number;
  readonly texts: number;
  readonly blobs: number;
  readonly minInteger: bigint | null;
  readonly maxInteger: bigint | null;
  /** Integers other than 0 and 1. */
  readonly notBoolean: number;
  /** Reals without a fraction: where integers stand beside them, they can't be told apart by value. */
  readonly wholeReals: number;
  readonly infinities: number;
  /** Bytes of texts and BLOBs, all and longest. */
  readonly bytes: number;
  readonly maxBytes: number;
  readonly nulTexts: number;
  readonly brokenTexts: number;
  /** Texts that COPY text needs escaped: backslash, tab, line ends. */
  readonly escapeTexts: number;
  readonly uuids: number;
  readonly json: number;
  /** Texts that are the only spelling of a 64-bit integer: `-5`, not `05`. */
  readonly integerTexts: number;
  /** Texts spelled as this package spells a real: `1.5`, `1.0e+300`. */
  readonly realTexts: number;
  /** Texts of each ISO shape, by its name. */
  readonly iso: Readonly<Record<string, number>>;
}

interface Aggregate {
  readonly key: Exclude<keyof ColumnProfile, "iso"> | `iso:${string}`;
  readonly sql: (column: string) => string;
  readonly merge: "sum" | "min" | "max";
}

const HEX = "[0-9a-f]";
const UUID_GLOB = [8, 4, 4, 4, 12].map((count) => HEX.repeat(count)).join("-");

/** SQL that is true for a text which is the one spelling of a 64-bit integer. */
export function integerTextTest(column: string): string {
  // CAST saturates outside 64 bits, and then the text does not come back.
  return `length(${column}) < 21 AND (${column} GLOB '[0-9]*' OR ${column} GLOB '-[0-9]*') AND CAST(CAST(${column} AS INTEGER) AS TEXT) = ${verbatim(column)}`;
}

function realTextTest(column: string): string {
  return `length(${column}) < 30 AND (${column} = '-0.0' OR quote(CAST(${column} AS REAL)) = ${verbatim(column)})`;
}

/** Short texts are mostly ASCII, which GLOB proves without leaving SQLite. */
export function brokenTextTest(column: string): string {
  const ascii = `octet_length(${column}) < 64 AND ${column} NOT GLOB '*[^' || char(1) || '-' || char(127) || ']*'`;
  return `CASE WHEN ${ascii} AND ${nulTest(column)} = 0 THEN 0 ELSE NOT lifeboat_is_utf8(CAST(${column} AS BLOB)) END`;
}

export function nulTest(column: string): string {
  return `instr(${column}, char(0)) > 0`;
}

function escapeTest(column: string): string {
  return ["'\\'", "char(9)", "char(10)", "char(13)"]
    .map((sign) => `instr(${column}, ${sign})`)
    .join(" OR ");
}

const count = (key: Aggregate["key"], sql: (column: string) => string): Aggregate => ({
  key,
  sql: (column) => `total(${sql(column)})`,
  merge: "sum",
});
const countTexts = (key: Aggregate["key"], test: (column: string) => string) =>
  count(key, (c) => `CASE WHEN typeof(${c}) = 'text' THEN (${test(c)}) ELSE 0 END`);
const countReals = (key: Aggregate["key"], test: (column: string) => string) =>
  count(key, (c) => `CASE WHEN typeof(${c}) = 'real' THEN (${test(c)}) ELSE 0 END`);
const integersOf = (c: string) => `CASE WHEN typeof(${c}) = 'integer' THEN ${c} END`;
const bytesOf = (c: string) =>
  `CASE WHEN typeof(${c}) IN ('text', 'blob') THEN octet_length(${c}) END`;

const AGGREGATES: readonly Aggregate[] = [
  count("nulls", (c) => `${c} IS NULL`),
  count("integers", (c) => `typeof(${c}) = 'integer'`),
  count("reals", (c) => `typeof(${c}) = 'real'`),
  count("texts", (c) => `typeof(${c}) = 'text'`),
  count("blobs", (c) => `typeof(${c}) = 'blob'`),
  { key: "minInteger", sql: (c) => `min(${integersOf(c)})`, merge: "min" },
  { key: "maxInteger", sql: (c) => `max(${integersOf(c)})`, merge: "max" },
  count("notBoolean", (c) => `typeof(${c}) = 'integer' AND ${c} NOT IN (0, 1)`),
  countReals("wholeReals", (c) => `${c} NOT IN (9e999, -9e999) AND floor(${c}) = ${c}`),
  countReals("infinities", (c) => `${c} IN (9e999, -9e999)`),
  { key: "bytes", sql: (c) => `total(${bytesOf(c)})`, merge: "sum" },
  { key: "maxBytes", sql: (c) => `max(${bytesOf(c)})`, merge: "max" },
  countTexts("nulTexts", nulTest),
  countTexts("brokenTexts", brokenTextTest),
  countTexts("escapeTexts", escapeTest),
  countTexts("uuids", (c) => `octet_length(${c}) = 36 AND ${c} GLOB '${UUID_GLOB}'`),
  // Where JSON is meant a text opens with one of these; plain words are passed over cheaply.
  countTexts("json", (c) => `instr('{["-0123456789tfn ', substr(${c}, 1, 1)) AND json_valid(${c})`),
  countTexts("integerTexts", integerTextTest),
  countTexts("realTexts", realTextTest),
  ...ISO_SHAPES.map((shape) => countTexts(`iso:${shape.name}`, (c) => isoTest(shape, c))),
];

/** The result columns of a profiling SELECT for one (quoted) column. */
export function aggregatesOf(column: string): string {
  return AGGREGATES.map((aggregate) => aggregate.sql(column)).join(", ");
}

type Values = Record<string, number | bigint | null>;

/** Reads back what {@link aggregatesOf} selected, from position `at` on. */
export function readAggregates(
  row: readonly unknown[],
  at: number,
): { profile: ColumnProfile; next: number } {
  const values: Values = {};
  AGGREGATES.forEach(({ key }, index) => {
    const value = row[at + index];
    values[key] = isLimit(key) ? (value as bigint | null) : Number(value ?? 0);
  });
  return { profile: profileOf(values), next: at + AGGREGATES.length };
}

function isLimit(key: string): boolean {
  return key === "minInteger" || key === "maxInteger";
}

function profileOf(values: Values): ColumnProfile {
  const iso = Object.fromEntries(
    ISO_SHAPES.map((shape) => [shape.name, values[`iso:${shape.name}`] ?? 0]),
  );
  return { ...values, iso } as unknown as ColumnProfile;
}

export function emptyProfile(): ColumnProfile {
  return readAggregates(new Array(AGGREGATES.length).fill(null), 0).profile;
}

/** The profile of two sets of values together. */
export function mergeInto(left: ColumnProfile, right: ColumnProfile): ColumnProfile {
  const values: Values = {};
  for (const { key, merge } of AGGREGATES)
    values[key] = mergeValue(countOf(left, key), countOf(right, key), merge);
  return profileOf(values);
}

function countOf(profile: ColumnProfile, key: Aggregate["key"]): number | bigint | null {
  if (key.startsWith("iso:")) return profile.iso[key.slice("iso:".length)] ?? 0;
  return profile[key as Exclude<keyof ColumnProfile, "iso">];
}

function mergeValue(
  left: number | bigint | null,
  right: number | bigint | null,
  merge: Aggregate["merge"],
): number | bigint | null {
  if (left === null) return right;
  if (right === null) return left;
  if (merge === "sum") return Number(left) + Number(right);
  return (merge === "min") === left < right ? left : right;
}

/** Values that are not NULL. */
export function storedValues(profile: ColumnProfile): number {
  return profile.integers + profile.reals + profile.texts + profile.blobs;
}
