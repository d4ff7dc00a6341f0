import { brokenTest, integerTextTest, nulTest, SHAPES } from "../text-shape.ts";
import type { Codec } from "./codec.ts";

/** Codecs that give one storage class its own Postgres type, or a narrower one. */

const integer: Codec = {
  name: "integer",
  classes: ["integer"],
  input: (c) => c,
  free: false,
  binary: int8,
  binaryLength: 8,
  canon: (c) => c,
  canonIn: (p) => `${p}::text`,
  decode: toInteger,
  bytes: false,
  framed: false,
  ordered: true,
};

/** 17 digits bring every double back; the zero that has a sign is the one that printf loses. */
export const realText = (c: string) =>
  `CASE WHEN ${c} = 0.0 THEN lifeboat_zero(${c}) ELSE printf('%!.17g', ${c}) END`;
export const realHex = (p: string) => `encode(float8send(${p}::float8), 'hex')`;

const real: Codec = {
  name: "real",
  classes: ["real"],
  input: realText,
  free: false,
  binary: (c) => `lifeboat_real(${c})`,
  binaryLength: 8,
  canon: (c) => `lifeboat_real_hex(${c})`,
  canonIn: realHex,
  decode: (v) => `lifeboat_real_of(${v})`,
  bytes: false,
  framed: false,
  ordered: true,
};

/** What a text of Postgres can hold. */
export const soundText = (c: string) => `NOT (${brokenTest(c)} OR ${nulTest(c)})`;

const text: Codec = {
  name: "text",
  classes: ["text"],
  admits: soundText,
  input: (c) => c,
  free: true,
  binary: (c) => c,
  canon: (c) => c,
  canonIn: (p) => `${p}::text`,
  decode: (v) => v,
  bytes: false,
  framed: true,
  ordered: true,
};

/** json keeps the text as it is; jsonb would reorder keys and drop duplicates. It has no order and no equality. */
const json: Codec = { ...text, name: "json", ordered: false };

const bytes: Codec = {
  name: "bytes",
  classes: ["blob"],
  // COPY reads the first backslash as an escape: the second is bytea's own.
  input: (c) => `'\\x' || hex(${c})`,
  free: true,
  binary: (c) => c,
  canon: (c) => c,
  canonIn: (p) => p,
  decode: (v) => v,
  bytes: true,
  framed: true,
  ordered: true,
};

const boolean: Codec = {
  name: "boolean",
  classes: ["integer"],
  admits: (c) => `${c} IN (0, 1)`,
  // Any other integer, written since the profile, is refused by Postgres.
  input: (c) => `CASE ${c} WHEN 1 THEN 't' WHEN 0 THEN 'f' ELSE ${c} END`,
  free: false,
  binary: (c) => `CASE ${c} WHEN 1 THEN x'01' WHEN 0 THEN x'00' ELSE x'' END`,
  binaryLength: 1,
  canon: (c) => c,
  canonIn: (p) => `${p}::int::text`,
  decode: toInteger,
  bytes: false,
  framed: false,
  ordered: true,
};

const uuid: Codec = {
  name: "uuid",
  classes: ["text"],
  admits: (c) => SHAPES.get("uuid")?.(c) ?? "",
  input: (c) => c,
  free: false,
  binary: (c) => `unhex(replace(${c}, '-', ''))`,
  binaryLength: 16,
  canon: (c) => c,
  canonIn: (p) => `${p}::text`,
  decode: (v) => v,
  bytes: false,
  framed: false,
  ordered: true,
};

/** Text that always spells an integer, in a column that refers to integers. */
const integerText: Codec = {
  ...integer,
  name: "integer-text",
  classes: ["text"],
  admits: integerTextTest,
  binary: (c) => int8(`CAST(${c} AS INTEGER)`),
  decode: (v) => v,
  ordered: false,
};

/** Texts that Postgres refuses (NUL, broken UTF-8), kept as the bytes they are. */
const textBytes: Codec = {
  ...bytes,
  name: "text-bytes",
  classes: ["text"],
  input: (c) => bytes.input(`CAST(${c} AS BLOB)`),
  binary: (c) => c,
  canon: (c) => `CAST(${c} AS BLOB)`,
  decode: (v) => `CAST(${v} AS TEXT)`,
};

/** By the user's choice only: NUL dropped, broken sequences replaced. What is kept is compared, not what was. */
const textCleaned: Codec = {
  ...text,
  name: "text-cleaned",
  admits: () => "true",
  input: (c) => `lifeboat_clean(CAST(${c} AS BLOB))`,
  binary: (c) => `lifeboat_clean(CAST(${c} AS BLOB))`,
  canon: (c) => `lifeboat_clean(CAST(${c} AS BLOB))`,
  ordered: false,
};

/** The integer that a canon of digits spells. */
export function toInteger(canon: string): string {
  return `CAST(${canon} AS INTEGER)`;
}

/** Eight bytes, most significant first. */
export function int8(c: string): string {
  return `unhex(printf('%016llx', ${c}))`;
}

export const PLAIN_CODECS: readonly Codec[] = [
  integer,
  real,
  text,
  json,
  bytes,
  boolean,
  uuid,
  integerText,
  textBytes,
  textCleaned,
];
