import { ISO_SHAPES, isoTest, verbatim } from "./iso-shape.ts";

const HEX = "[0-9a-f]";
const UUID_GLOB = [8, 4, 4, 4, 12].map((count) => HEX.repeat(count)).join("-");

/**
 * Shapes that all texts of a column may have, and that then give it a better type; each with SQL that is
 * true for a text of that shape. The first text without it ends the question.
 */
export const SHAPES: ReadonlyMap<string, (column: string) => string> = new Map([
  ["uuid", (c: string) => `octet_length(${c}) = 36 AND ${c} GLOB '${UUID_GLOB}'`],
  // Where JSON is meant a text opens with one of these; plain words are passed over cheaply.
  [
    "json",
    (c: string) => `instr('{["-0123456789tfn', substr(${c}, 1, 1)) > 0 AND json_valid(${c})`,
  ],
  ...ISO_SHAPES.map((shape) => [`iso-${shape.name}`, (c: string) => isoTest(shape, c)] as const),
]);

/** SQL that is true for a text which begins as the texts of {@link integerTextTest} and {@link realTextTest} do. */
export function numberLikeTest(column: string): string {
  return `${column} GLOB '[-0-9]*'`;
}

/** SQL that is true for a text which is the one spelling of a 64-bit integer. */
export function integerTextTest(column: string): string {
  // CAST saturates outside 64 bits, and then the text does not come back.
  return `${numberLikeTest(column)} AND length(${column}) < 21 AND CAST(CAST(${column} AS INTEGER) AS TEXT) = ${verbatim(column)}`;
}

/** SQL that is true for a text which is the spelling of a real among texts. */
export function realTextTest(column: string): string {
  return `${numberLikeTest(column)} AND length(${column}) < 30 AND (${column} = '-0.0' OR quote(CAST(${column} AS REAL)) = ${verbatim(column)})`;
}

/** SQL that is true for a text with a NUL. */
export function nulTest(column: string): string {
  return `instr(${column}, char(0)) > 0`;
}

/** SQL that is true for a text which is no UTF-8. */
export function brokenTest(column: string): string {
  return `NOT lifeboat_is_utf8(CAST(${column} AS BLOB))`;
}

/** SQL that is true for a text that COPY text needs escaped. */
export function escapeTest(column: string): string {
  const signs = ["'\\'", "char(9)", "char(10)", "char(13)"];
  return signs.map((sign) => `instr(${column}, ${sign}) > 0`).join(" OR ");
}

/**
 * SQL that is true for a short text of printable ASCII without a backslash: most are, and nothing of the
 * above needs to be asked of them. GLOB stops at a NUL, and so does length(): that shows it. A `]` that comes first in
 * a set begins no range.
 */
export function harmlessTest(column: string): string {
  return `octet_length(${column}) < 64 AND length(${column}) = octet_length(${column}) AND ${column} NOT GLOB '*[^] -[^-~]*'`;
}
