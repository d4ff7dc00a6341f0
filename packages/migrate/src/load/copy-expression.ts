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

const TAB = 9;
const LINE_END = 10;
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
  if (!binary) {
    const ended = fields.map(
      (one, at) => `${one} || char(${at < fields.length - 1 ? TAB : LINE_END})`,
    );
    return { format: "text", row: concatenation(ended) };
  }
  const count = columns.length.toString(16).padStart(4, "0");
  return { format: "binary", row: concatenation([`x'${count}'`, ...fields]) };
}

/** The fields of a row as COPY text, joined and ended as there; for the keys of the log too, whose columns bear their names. */
export function textRow(table: PlannedTable, columns: readonly PlannedColumn[]): string {
  const fields = columns.map((column) => field(table, unproven(column), false));
  return concatenation(
    fields.map((one, at) => `${one} || char(${at < fields.length - 1 ? TAB : LINE_END})`),
  );
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
  const admitted = codecNamed(column.codec)
    .classes.map((name) => `'${name}'`)
    .join(", ");
  const place = quoteText(`${table.name}.${column.source}`);
  return `(CASE WHEN ${c} IS NULL THEN ${nothing} WHEN typeof(${c}) IN (${admitted}) THEN ${content} ELSE lifeboat_unexpected(typeof(${c}), ${place}) END)`;
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
