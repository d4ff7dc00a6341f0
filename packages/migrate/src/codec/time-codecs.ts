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
    canonIn: (p) => `to_char(${p}, ${quoteText(shape.toChar.replace(/SS(\.MS)?/, "SS.US"))})`,
    decode: (v) => fromMicroseconds(shape, v),
    bytes: false,
    framed: false,
    // Four digits of the year, most significant first: texts and instants sort alike.
    ordered: true,
  };
}

/** The text with all the digits that an instant of Postgres has, so that a change of any of them shows. */
function toMicroseconds(shape: IsoShape, c: string): string {
  if (shape.type === "date") return c;
  const zeros = shape.strftime.includes("%f") ? "000" : ".000000";
  const digits = shape.length - (shape.strftime.endsWith("Z") ? 1 : 0);
  return `substr(${c}, 1, ${digits}) || '${zeros}' || substr(${c}, ${digits + 1})`;
}

/** Leaves out the digits that the shape has no place for. */
function fromMicroseconds(shape: IsoShape, v: string): string {
  if (shape.type === "date") return v;
  const zone = shape.strftime.endsWith("Z") ? " || 'Z'" : "";
  return `substr(${v}, 1, ${shape.length - (zone === "" ? 0 : 1)})${zone}`;
}

function binaryOf(shape: IsoShape, c: string): string {
  if (shape.type === "date") {
    const days = `(unixepoch(${c}) / 86400 - ${EPOCHS_APART / 86_400})`;
    return `unhex(printf('%08x', ${days} & 4294967295))`;
  }
  const seconds =
    shape.type === "time without time zone"
      ? `(unixepoch(${c}) - unixepoch('00:00:00'))`
      : `(unixepoch(${c}) - ${EPOCHS_APART})`;
  const milliseconds = shape.strftime.includes("%f") ? `CAST(substr(${c}, 21, 3) AS INTEGER)` : "0";
  return int8(`(${seconds} * 1000 + ${milliseconds}) * 1000`);
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
