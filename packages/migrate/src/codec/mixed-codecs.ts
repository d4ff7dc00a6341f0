import { integerTextTest, realTextTest } from "../text-shape.ts";
import type { Codec } from "./codec.ts";
import { realHex, realText, soundText, toInteger } from "./plain-codecs.ts";

/** Codecs for columns that hold values of several storage classes. */

const byClass = (c: string, cases: Readonly<Record<string, string>>) =>
  `CASE typeof(${c}) ${Object.entries(cases)
    .map(([type, sql]) => `WHEN '${type}' THEN ${sql}`)
    .join(" ")} END`;

/** 15 digits where they bring the double back (12.34), else 17. */
const shortRealText = (c: string) =>
  `CASE WHEN CAST(printf('%!.15g', ${c}) AS REAL) = ${c} THEN printf('%!.15g', ${c}) ELSE printf('%!.17g', ${c}) END`;

/** Significant digits of a numeric: no double is written with more than 17. */
const digits = (p: string) => `length(trim('0' FROM replace(abs(${p})::text, '.', '')))`;

/**
 * Integers and reals in one column of numbers, as numeric. A whole number was an integer, any other a
 * real: so NUMERIC and INTEGER affinity store them, and the plan admits no column where it is not so.
 */
const number: Codec = {
  name: "number",
  classes: ["integer", "real"],
  input: (c) => byClass(c, { integer: c, real: shortRealText(c) }),
  free: false,
  canon: (c) => byClass(c, { integer: c, real: `'r' || lifeboat_real_hex(${c})` }),
  canonIn: (p) =>
    `CASE WHEN ${p} = trunc(${p}) THEN trunc(${p})::text
      WHEN ${p} = ${p}::float8::numeric OR ${digits(p)} <= 17 THEN 'r' || ${realHex(p)} ELSE '!' || ${p}::text END`,
  decode: (v) =>
    `CASE WHEN substr(${v}, 1, 1) = 'r' THEN lifeboat_real_of(substr(${v}, 2)) ELSE ${toInteger(v)} END`,
  bytes: false,
  framed: false,
  ordered: true,
};

/** The same as double precision: integers up to 2^53, and infinities. */
const numberReal: Codec = {
  ...number,
  name: "number-real",
  input: (c) => byClass(c, { integer: c, real: realText(c) }),
  canonIn: (p) =>
    `CASE WHEN ${p} = trunc(${p}) AND abs(${p}) <= 9007199254740992 THEN ${p}::bigint::text ELSE 'r' || ${realHex(p)} END`,
};

/** A real as quote() spells it always has a point or an exponent, so it can't be taken for an integer. */
const numberText = (c: string) =>
  `CASE WHEN ${c} = 0.0 THEN lifeboat_zero(${c}) || '.0' ELSE quote(${c}) END`;

/**
 * Numbers among texts. A number is written as SQLite spells it; the plan admits no column that holds a
 * text of the same spelling, so what looks like a number was one.
 */
const numbersInText: Codec = {
  name: "numbers-in-text",
  classes: ["integer", "real", "text"],
  admits: soundText,
  input: (c) => byClass(c, { integer: `CAST(${c} AS TEXT)`, real: numberText(c), text: c }),
  free: true,
  // No text of Postgres holds a NUL: a number that has turned into a text shows.
  canon: (c) =>
    byClass(c, {
      integer: `CAST(${c} AS TEXT)`,
      real: numberText(c),
      text: `CASE WHEN (${integerTextTest(c)}) OR (${realTextTest(c)}) THEN char(0) || ${c} ELSE ${c} END`,
    }),
  canonIn: (p) => `${p}::text`,
  decode: (v) =>
    `CASE WHEN ${integerTextTest(v)} THEN ${toInteger(v)} WHEN ${realTextTest(v)} THEN CAST(${v} AS REAL) ELSE ${v} END`,
  bytes: false,
  framed: true,
  ordered: false,
};

/** By choice, for columns that nothing else holds: each value after a letter that tells its class. */
const tagged: Codec = {
  ...numbersInText,
  name: "tagged",
  classes: ["integer", "real", "text", "blob"],
  admits: () => "true",
  input: (c) =>
    byClass(c, {
      integer: `'i:' || ${c}`,
      real: `'r:' || ${numberText(c)}`,
      text: `CASE WHEN lifeboat_is_utf8(CAST(${c} AS BLOB)) AND instr(${c}, char(0)) = 0 THEN 't:' || ${c} ELSE 'x:' || lower(hex(CAST(${c} AS BLOB))) END`,
      blob: `'b:' || lower(hex(${c}))`,
    }),
  canon: (c) => tagged.input(c),
  decode: (v) =>
    `CASE substr(${v}, 1, 2) WHEN 'i:' THEN CAST(substr(${v}, 3) AS INTEGER) WHEN 'r:' THEN CAST(substr(${v}, 3) AS REAL)
      WHEN 't:' THEN substr(${v}, 3) WHEN 'x:' THEN CAST(unhex(substr(${v}, 3)) AS TEXT) WHEN 'b:' THEN unhex(substr(${v}, 3)) END`,
};

export const MIXED_CODECS: readonly Codec[] = [number, numberReal, numbersInText, tagged];
