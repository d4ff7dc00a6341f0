import { ISO_SHAPES, type IsoShape, isoTest } from "../iso-shape.ts";
import { quoteText } from "../quote.ts";
import type { Codec } from "./codec.ts";
import { int8, toInteger } from "./plain-codecs.ts";

/** Codecs that make Postgres's own instants, dates and times of texts of one shape, or of epoch numbers. */

/** Seconds from 1970-01-01, SQLite's epoch, to 2000-01-01, that of Postgres. */
const EPOCHS_APART = 946_684_800;

/** Years 1 to 9999, which both sides know. */
const FIRST_SECOND = -62_135_596_800;
const LAST_SECOND = 253_402_300_799;

function isoCodec(shape: IsoShape): Codec {
  return {
    name: `iso-${shape.name}`,
    classes: ["text"],
    admits: (c) => isoTest(shape, c),
    input: (c) => c,
    free: false,
    binary: (c) => binaryOf(shape, c),
    binaryLength: shape.type === "date" ? 4 : 8,
    canon: (c) => toMicroseconds(shape, c),
    canonIn: (p) => canonOf(shape, p),
    decode: (v) => fromMicroseconds(shape, v),
    bytes: false,
    framed: false,
    // Four digits of the year, most significant first: texts and instants sort alike. But a Z comes after the dot of a fraction, where some have none.
    ordered: !(shape.fraction === "python" && shape.zone === "Z"),
  };
}

/** In place of what no text of a shape is: infinity, and years of more digits or before our era, which to_char() spells as those of it. */
const NO_TEXT = "!";

function canonOf({ type, toChar }: IsoShape, p: string): string {
  const text = `to_char(${p}, ${quoteText(toChar)})`;
  if (type === "time without time zone") return text;
  const zone = type === "timestamp with time zone" ? "+00" : "";
  const isSpelled = `${p} >= '0001-01-01${zone}' AND ${p} < '10000-01-01${zone}'`;
  return `CASE WHEN ${isSpelled} THEN ${text} WHEN ${p} IS NOT NULL THEN '${NO_TEXT}' END`;
}

/** The text with all the digits that an instant of Postgres has, so that a change of any of them shows. */
function toMicroseconds({ type, fraction, wholeLength, zone }: IsoShape, c: string): string {
  if (type === "date" || fraction === "us") return c;
  const filled = (length: number, zeros: string) =>
    `substr(${c}, 1, ${length}) || '${zeros}' || '${zone}'`;
  if (fraction === "ms") return filled(wholeLength + 4, "000");
  const whole = filled(wholeLength, ".000000");
  if (fraction === "none") return whole;
  return `CASE octet_length(${c}) WHEN ${wholeLength + zone.length} THEN ${whole} ELSE ${c} END`;
}

/** Leaves out the digits that the shape has no place for. What is no text of it becomes one of another canon. */
function fromMicroseconds({ type, fraction, wholeLength, zone }: IsoShape, v: string): string {
  const whole = `CASE ${v} WHEN '${NO_TEXT}' THEN '' ELSE ${v} END`;
  if (type === "date" || fraction === "us") return whole;
  const cut = (length: number) => `substr(${v}, 1, ${length}) || '${zone}'`;
  if (fraction === "ms") return cut(wholeLength + 4);
  if (fraction === "none") return cut(wholeLength);
  return `CASE substr(${v}, ${wholeLength + 1}, 7) WHEN '.000000' THEN ${cut(wholeLength)} ELSE ${whole} END`;
}

function binaryOf({ type, fraction, wholeLength }: IsoShape, c: string): string {
  if (type === "date") {
    const days = `(unixepoch(${c}) / 86400 - ${EPOCHS_APART / 86_400})`;
    return `unhex(printf('%08x', ${days} & 4294967295))`;
  }
  // Without the fraction, which SQLite would round to milliseconds.
  const whole = `unixepoch(substr(${c}, 1, ${wholeLength}))`;
  const seconds =
    type === "time without time zone"
      ? `(${whole} - unixepoch('00:00:00'))`
      : `(${whole} - ${EPOCHS_APART})`;
  return int8(`${seconds} * 1000000 + ${microseconds({ fraction, wholeLength }, c)}`);
}

function microseconds(shape: Pick<IsoShape, "fraction" | "wholeLength">, c: string): string {
  const { fraction, wholeLength } = shape;
  if (fraction === "none") return "0";
  if (fraction === "ms") return `CAST(substr(${c}, ${wholeLength + 2}, 3) AS INTEGER) * 1000`;
  const digits = `CAST(substr(${c}, ${wholeLength + 2}, 6) AS INTEGER)`;
  if (fraction === "us") return digits;
  return `CASE substr(${c}, ${wholeLength + 1}, 1) WHEN '.' THEN ${digits} ELSE 0 END`;
}

function epochCodec(name: string, perSecond: number): Codec {
  const factor = 1_000_000 / perSecond;
  return {
    name,
    classes: ["integer"],
    admits: (c) => `${c} BETWEEN ${FIRST_SECOND * perSecond} AND ${LAST_SECOND * perSecond}`,
    input: (c) =>
      perSecond === 1
        ? `datetime(${c}, 'unixepoch') || 'Z'`
        : `datetime(${floorSeconds(c, perSecond)}, 'unixepoch') || printf('.%03dZ', ${c} - ${floorSeconds(c, perSecond)} * ${perSecond})`,
    free: false,
    binary: (c) => int8(`(${c} - ${EPOCHS_APART * perSecond}) * ${factor}`),
    binaryLength: 8,
    canon: (c) => c,
    canonIn: (p) => `trim_scale(extract(epoch FROM ${p}) * ${perSecond})::text`,
    decode: toInteger,
    bytes: false,
    framed: false,
    ordered: true,
  };
}

/** Division that rounds down, for instants before 1970 too. */
function floorSeconds(c: string, perSecond: number): string {
  return `((${c} - ((${c} % ${perSecond}) + ${perSecond}) % ${perSecond}) / ${perSecond})`;
}

export const TIME_CODECS: readonly Codec[] = [
  ...ISO_SHAPES.map(isoCodec),
  epochCodec("epoch-s", 1),
  epochCodec("epoch-ms", 1000),
];
