import { ISO_SHAPES } from "../iso-shape.ts";
import { quoteText } from "../quote.ts";
import type { Affinity } from "../sqlite/schema.ts";
import { tokensOf } from "../sqlite/tokens.ts";
import { strftimeToChar } from "./strftime.ts";

/** The column of Postgres that a default must fit. */
export interface DefaultTarget {
  readonly type: string;
  readonly codec: string;
  /** Of the column in SQLite, which turns a text into the number that it spells; TEXT when left out. */
  readonly affinity?: Affinity;
}

/** What a column of numbers takes for one, whole (datatype3.html, section 3). */
const NUMBER_IN_TEXT = /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i;
/** Those that hold numbers among texts. */
const MIXED = new Set(["numbers-in-text", "tagged"]);

const UTC_NOW = "(now() AT TIME ZONE 'UTC')";

/**
 * The Postgres default that gives a new row what SQLite's would have given, written as the column's
 * codec writes it; null where there is none that is known to be the same.
 * @param sql the default as PRAGMA table_xinfo reports it: a literal, or an expression in parentheses or without
 */
export function translateDefault(sql: string, target: DefaultTarget): string | null {
  return (
    literalDefault(sql, target) ??
    clockDefault(normalised(sql), target) ??
    randomDefault(normalised(sql), target)
  );
}

/** Whether a default is NULL, written out. */
export function isNullDefault(sql: string): boolean {
  return normalised(sql) === "null";
}

function literalDefault(sql: string, target: DefaultTarget): string | null {
  const tokens = tokensOf(sql);
  const sign = tokens[0]?.kind === "sign" && /^[-+]$/.test(tokens[0].text) ? tokens[0].text : "";
  const token = tokens[sign === "" ? 0 : 1];
  if (!token || tokens.length > (sign === "" ? 1 : 2)) return null;
  if (token.kind === "number")
    return numberDefault(`${sign === "-" ? "-" : ""}${token.text}`, target);
  if (token.kind === "string" || token.kind === "quoted") return textDefault(token.text, target);
  if (token.kind === "blob") return target.codec === "bytes" ? `'\\x${token.text}'::bytea` : null;
  if (/^(true|false)$/i.test(token.text))
    return numberDefault(/^t/i.test(token.text) ? "1" : "0", target);
  // DEFAULT word, without quotes, is the word as a text; CURRENT_… are no words but instants.
  const clock = /^current_/i.test(token.text) || sign !== "";
  return token.kind === "word" && !clock ? textDefault(token.text, target) : null;
}

function numberDefault(number: string, target: DefaultTarget): string | null {
  const integer = integerOf(number);
  switch (target.codec) {
    case "integer":
      return integer;
    case "boolean":
      return number === "0" ? "false" : number === "1" ? "true" : null;
    case "real":
    case "number":
    case "number-real":
      return integer ?? (Number.isFinite(Number(number)) ? number : null);
    case "text":
    case "numbers-in-text":
      // In a column of REAL it is no integer, and is spelled otherwise.
      return integer === null || target.affinity === "REAL" ? null : quoteText(integer);
    default:
      return null;
  }
}

/** As SQLite spells it: hexadecimal and leading zeros are gone. Null where it is no 64-bit integer. */
function integerOf(number: string): string | null {
  const [, sign, digits] = /^(-?)(\d+|0x[\da-f]+)$/i.exec(number) ?? [];
  if (digits === undefined) return null;
  // SQLite reads sixteen hexadecimal digits as a signed integer; more it refuses.
  const size = /^0x/i.test(digits) ? BigInt.asIntN(64, BigInt(digits)) : BigInt(digits);
  const value = sign === "-" ? -size : size;
  return BigInt.asIntN(64, value) === value ? String(value) : null;
}

function textDefault(text: string, target: DefaultTarget): string | null {
  if (
    MIXED.has(target.codec) &&
    NUMBER_IN_TEXT.test(text) &&
    (target.affinity ?? "TEXT") !== "TEXT"
  )
    return numberAmongTexts(text, target);
  if (target.codec === "text" || target.codec === "numbers-in-text") return quoteText(text);
  if (target.codec === "text-bytes") return `'\\x${Buffer.from(text).toString("hex")}'::bytea`;
  if (target.codec === "tagged") return quoteText(`t:${text}`);
  // A column of numbers turns the text of a number into that number.
  if (/^-?\d+(\.\d+)?$/.test(text)) return numberDefault(text, target);
  if (target.codec === "json") return isJson(text) ? quoteText(text) : null;
  return null;
}

/** A quoted number, as many write the default of a column of numbers: '0'. */
function numberAmongTexts(text: string, { codec, affinity }: DefaultTarget): string | null {
  if (affinity === "BLOB") return codec === "tagged" ? quoteText(`t:${text}`) : null;
  const integer = affinity === "REAL" ? null : integerOf(text.trim().replace(/^\+/, ""));
  if (integer === null) return null;
  return quoteText(codec === "tagged" ? `i:${integer}` : integer);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (cause) {
    if (cause instanceof SyntaxError) return false;
    throw cause;
  }
}

/** Lower case outside strings, without blanks, without the parentheses around the whole. */
function normalised(sql: string): string {
  const text = tokensOf(sql)
    .map((token) =>
      token.kind === "string"
        ? quoteText(token.text)
        : token.kind === "word"
          ? token.text.toLowerCase()
          : token.text,
    )
    .join(" ")
    .replace(/ ?([(),]) ?/g, "$1");
  return text.startsWith("(") && text.endsWith(")") && balanced(text.slice(1, -1))
    ? text.slice(1, -1)
    : text;
}

function balanced(text: string): boolean {
  let depth = 0;
  for (const sign of text) {
    if (sign === "(") depth++;
    if (sign === ")" && --depth < 0) return false;
  }
  return depth === 0;
}

const EPOCH_SECONDS = "floor(extract(epoch FROM now()))::bigint";
const EPOCH_MILLISECONDS = "floor(extract(epoch FROM now()) * 1000)::bigint";

/** Ways in which schemas ask for the present instant, and the text or number that they then store. */
const CLOCKS: Readonly<Record<string, string>> = {
  current_timestamp: "%Y-%m-%d %H:%M:%S",
  "datetime('now')": "%Y-%m-%d %H:%M:%S",
  "datetime()": "%Y-%m-%d %H:%M:%S",
  "datetime(current_timestamp)": "%Y-%m-%d %H:%M:%S",
  "datetime('now','subsec')": "%Y-%m-%d %H:%M:%f",
  current_date: "%Y-%m-%d",
  "date('now')": "%Y-%m-%d",
  current_time: "%H:%M:%S",
  "time('now')": "%H:%M:%S",
};
const SECONDS = [
  "strftime('%s','now')",
  "strftime('%s')",
  "cast(strftime('%s','now')as integer)",
  "cast(strftime('%s','now')as int)",
  "unixepoch()",
  "unixepoch('now')",
];
const MILLISECONDS = [
  "cast((julianday('now')- 2440587.5)* 86400000 as integer)",
  "cast((julianday('now')-2440587.5)*86400000 as integer)",
  "cast(unixepoch('subsec')* 1000 as integer)",
  "cast(unixepoch('now','subsec')* 1000 as integer)",
  "unixepoch()* 1000",
  "unixepoch('now')* 1000",
  "strftime('%s','now')* 1000",
  "cast(strftime('%s','now')as integer)* 1000",
];

function clockDefault(sql: string, target: DefaultTarget): string | null {
  const format = CLOCKS[sql] ?? /^strftime\('([^']*)','now'\)$/.exec(sql)?.[1];
  if (SECONDS.includes(sql)) return epochDefault(EPOCH_SECONDS, target, "epoch-s");
  if (MILLISECONDS.includes(sql)) return epochDefault(EPOCH_MILLISECONDS, target, "epoch-ms");
  if (format === undefined) return null;
  return formatDefault(format, target);
}

function epochDefault(sql: string, target: DefaultTarget, codec: string): string | null {
  if (target.codec === "integer") return sql;
  if (target.codec !== codec) return null;
  return codec === "epoch-s" ? "date_trunc('second', now())" : "date_trunc('milliseconds', now())";
}

function formatDefault(format: string, target: DefaultTarget): string | null {
  if (target.type === "text") {
    const toChar = strftimeToChar(format);
    return toChar === null ? null : `to_char(now() AT TIME ZONE 'UTC', ${quoteText(toChar)})`;
  }
  const isDay = DAY.test(format);
  const isTime = TIME_OF_DAY.test(format);
  // A part of it that is always the same makes another instant than that of now.
  if (/\d/.test(format.replace(UTC_AT_END, "").replace(/%f0*/, "%f"))) return null;
  const precision = format.includes("%f") && !isWhole(target.codec) ? "milliseconds" : "second";
  switch (target.type) {
    case "timestamp without time zone":
      return isDay && isTime ? `date_trunc('${precision}', ${UTC_NOW})` : null;
    case "timestamp with time zone":
      return isDay && isTime ? `date_trunc('${precision}', now())` : null;
    case "date":
      return isDay ? `${UTC_NOW}::date` : null;
    case "time without time zone":
      return isTime ? `date_trunc('${precision}', ${UTC_NOW})::time` : null;
    default:
      return null;
  }
}

const DAY = /%Y-%m-%d|%F/;
const TIME_OF_DAY = /%H:%M:%[Sf]|%T/;
const UTC_AT_END = /\+00:00$/;

/** Whether a column's spelling has no place for a fraction: a finer instant would not come back from it. */
function isWhole(codec: string): boolean {
  const shape = ISO_SHAPES.find(({ name }) => codec === `iso-${name}`);
  return codec === "epoch-s" || shape?.fraction === "none";
}

/** 32 hexadecimal digits; the core of Postgres has no other source of random bytes in SQL. */
const RANDOM_HEX = "replace(gen_random_uuid()::text, '-', '')";

function randomDefault(sql: string, target: DefaultTarget): string | null {
  const match = /^(lower\()?hex\(randomblob\((\d+)\)\)\)?$/.exec(sql);
  const bytes = Number(match?.[2] ?? 0);
  if (match && bytes > 0 && bytes <= 32 && target.codec === "text") {
    const digits = Array.from({ length: Math.ceil(bytes / 16) }, () => RANDOM_HEX).join(" || ");
    const text = `left(${digits}, ${bytes * 2})`;
    return match[1] ? text : `upper(${text})`;
  }
  const makesUuid =
    sql.includes("randomblob(4)") && sql.includes("randomblob(6)") && sql.includes("'-4'");
  if (!makesUuid) return null;
  if (target.type === "uuid") return "gen_random_uuid()";
  return target.codec === "text" && sql.startsWith("lower(") ? "gen_random_uuid()::text" : null;
}
