import type { Codec } from "../codec/codec.ts";
import { codecNamed } from "../codec/registry.ts";
import { concatenation } from "../concatenation.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName, quoteText } from "../quote.ts";

/** How a table's rows travel: the COPY form, and the SQLite expression that makes one row of it. */
export interface CopyForm {
  readonly format: "text" | "binary";
  readonly row: string;
}

/** Functions take up to a hundred arguments in any SQLite. */
const JOINED = 90;
/** Up to here a look for signs to escape costs less than four replace(). */
const SHORT_BYTES = 40;

/** The columns that are sent; those that Postgres calculates are not. */
export function sentColumns(table: PlannedTable): readonly PlannedColumn[] {
  return table.columns.filter((column) => column.generated === null);
}

/** Rows that are read while the product writes may hold what the profile has not seen. */
export interface CopyOptions {
  readonly live: boolean;
}

/**
 * Lets SQLite itself build the rows of COPY, which is several times faster than JavaScript. BLOBs go in the
 * binary form, where they keep their size; everything else as text, except a BLOB's table that holds a type
 * without a binary form.
 */
export function copyForm(table: PlannedTable, { live }: CopyOptions = { live: false }): CopyForm {
  const columns = sentColumns(table).map((column) => (live ? unproven(column) : column));
  const codecs = columns.map((column) => codecNamed(column.codec));
  const binary = codecs.some((codec) => codec.bytes) && codecs.every((codec) => codec.binary);
  const fields = columns.map((column) => field(table, column, binary));
  if (!binary) return { format: "text", row: line(fields) };
  const count = columns.length.toString(16).padStart(4, "0");
  return { format: "binary", row: concatenation([`x'${count}'`, ...fields]) };
}

/** The fields of a row as COPY text, joined and ended as there; for the keys of the log too, whose columns bear their names. */
export function textRow(table: PlannedTable, columns: readonly PlannedColumn[]): string {
  const fields = columns.map((column) => field(table, unproven(column), false));
  return line(fields);
}

/**
 * One call is cheaper than a chain of operators, each of which copies what is there already. A field that were NULL would be
 * left out with its tab, and Postgres refuse the row for it: as an operand it would take the row with it unseen.
 */
function line(fields: readonly string[]): string {
  return `${joined(fields)} || char(10)`;
}

function joined(fields: readonly string[]): string {
  if (fields.length <= JOINED) return `concat_ws(char(9), ${fields.join(", ")})`;
  const groups: string[] = [];
  for (let first = 0; first < fields.length; first += JOINED)
    groups.push(joined(fields.slice(first, first + JOINED)));
  return joined(groups);
}

/** A text that came since the profile may need an escape where none did. */
function unproven(column: PlannedColumn): PlannedColumn {
  return { ...column, escape: true };
}

function field(table: PlannedTable, column: PlannedColumn, binary: boolean): string {
  const codec = codecNamed(column.codec);
  const c = quoteName(column.source);
  const content = binary ? binaryField(codec, c) : textField(codec, column, c);
  return guarded(table, column, c, binary ? "x'ffffffff'" : "'\\N'", content);
}

/** NULL by its own test (hex, printf and concatenation all lose it), and nothing but the classes of the codec. */
function guarded(
  table: PlannedTable,
  column: PlannedColumn,
  c: string,
  nothing: string,
  content: string,
): string {
  // The rowid is an integer and nothing else, under whatever name.
  if (column.source === table.rowid) return `(${content})`;
  const { classes } = codecNamed(column.codec);
  const place = quoteText(`${table.name}.${column.source}`);
  const refused = `lifeboat_unexpected(typeof(${c}), ${place})`;
  const [only] = classes;
  // The class is made out once, and what most values are is looked for first.
  if (classes.length === 1)
    return `(CASE typeof(${c}) WHEN '${only}' THEN ${content} WHEN 'null' THEN ${nothing} ELSE ${refused} END)`;
  const admitted = classes.map((name) => `'${name}'`).join(", ");
  return `(CASE WHEN ${c} IS NULL THEN ${nothing} WHEN typeof(${c}) IN (${admitted}) THEN ${content} ELSE ${refused} END)`;
}

function textField(codec: Codec, column: PlannedColumn, c: string): string {
  const text = codec.input(c);
  // Digits need no escape: only bytea's own backslash, the first sign, is doubled.
  if (codec.bytes) return `('\\' || ${text})`;
  return codec.free && column.escape ? escaped(text) : `(${text})`;
}

/** GLOB stops at a NUL, but a text with one is refused by Postgres as a whole. */
function escaped(text: string): string {
  const all = replaced(text);
  // Another expression than a column's name costs more when it is made twice.
  if (!text.startsWith('"')) return all;
  return `(CASE WHEN octet_length(${text}) < ${SHORT_BYTES} AND ${text} NOT GLOB '*[\\' || char(9, 10, 13) || ']*' THEN ${text} ELSE ${all} END)`;
}

function replaced(text: string): string {
  return `replace(replace(replace(replace(${text}, '\\', '\\\\'), char(10), '\\n'), char(13), '\\r'), char(9), '\\t')`;
}

function binaryField(codec: Codec, c: string): string {
  const content = codec.binary?.(c) ?? "";
  if (codec.binaryLength !== undefined)
    return `(x'${codec.binaryLength.toString(16).padStart(8, "0")}' || ${content})`;
  return `(unhex(printf('%08x', octet_length(${content}))) || ${content})`;
}
