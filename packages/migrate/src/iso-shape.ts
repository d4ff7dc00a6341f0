/** What follows the seconds; `python` leaves out a fraction of nothing, as `str()` of Python's datetime does, which Django stores. */
export type Fraction = (typeof FRACTIONS)[number];

const FRACTIONS = ["none", "ms", "us", "python"] as const;

type TimeType =
  | "timestamp without time zone"
  | "timestamp with time zone"
  | "date"
  | "time without time zone";

/**
 * The spellings of an instant, date or time that a text column may hold throughout. Each has one
 * spelling for each value, so the text comes back exactly from the Postgres type.
 */
export interface IsoShape {
  readonly name: string;
  readonly type: TimeType;
  /** SQLite: gives all that comes before the fraction. */
  readonly strftime: string;
  /** How many characters that are. */
  readonly wholeLength: number;
  readonly fraction: Fraction;
  /** How the offset of none is spelt at the end, if it is. */
  readonly zone: string;
  /** Postgres: gives the text with six digits of a fraction, where the type has one. */
  readonly toChar: string;
}

/** How UTC may be spelt at the end, and what a shape with it is called. */
const ZONE_NAMES: Readonly<Record<string, string>> = {
  "": "",
  Z: "-z",
  "+00:00": "-offset",
  " +00:00": "-blank-offset",
};

/** How SQLite itself, and what is written for it, spell instants: the ORMs of JavaScript, Python, Ruby and PHP among them. */
export const ISO_SHAPES: readonly IsoShape[] = [
  ...FRACTIONS.flatMap(stamps),
  {
    ...{ name: "date", type: "date", strftime: "%Y-%m-%d", wholeLength: 10 },
    ...{ fraction: "none", zone: "", toChar: "YYYY-MM-DD" },
  },
  ...FRACTIONS.map(time),
];

/** Those of one fraction, with a blank or a T between day and time, and each spelling of UTC. */
function stamps(fraction: Fraction): IsoShape[] {
  return Object.keys(ZONE_NAMES).flatMap((zone) => [
    stamp(" ", fraction, zone),
    stamp("T", fraction, zone),
  ]);
}

function stamp(between: " " | "T", fraction: Fraction, zone: string): IsoShape {
  return {
    name: `datetime${between === "T" ? "-t" : ""}${nameOf(fraction)}${ZONE_NAMES[zone]}`,
    type: zone === "" ? "timestamp without time zone" : "timestamp with time zone",
    strftime: `%Y-%m-%d${between}%H:%M:%S`,
    wholeLength: 19,
    fraction,
    zone,
    toChar: `YYYY-MM-DD"${between}"HH24:MI:SS.US${zone && `"${zone}"`}`,
  };
}

function time(fraction: Fraction): IsoShape {
  return {
    ...{ name: `time${nameOf(fraction)}`, type: "time without time zone", strftime: "%H:%M:%S" },
    ...{ wholeLength: 8, fraction, zone: "", toChar: "HH24:MI:SS.US" },
  };
}

function nameOf(fraction: Fraction): string {
  return fraction === "none" ? "" : `-${fraction}`;
}

/** SQL that is true for a text of this shape. Year 0000, which Postgres has not, is no member. */
export function isoTest(shape: IsoShape, column: string): string {
  const { fraction } = shape;
  if (fraction === "none") return wholeTest(shape, column, shape.zone);
  if (fraction !== "python") return fractionTest(shape, column);
  const some = `${fractionTest(shape, column)} AND substr(${column}, ${shape.wholeLength + 2}, 6) <> '000000'`;
  return `(${wholeTest(shape, column, shape.zone)} OR ${some})`;
}

function wholeTest(shape: IsoShape, column: string, rest: string): string {
  const { strftime, wholeLength } = shape;
  const length = wholeLength + rest.length;
  return `${lengthTest(column, length)}${yearTest(shape, column)} AND strftime('${strftime}', substr(${column}, 1, ${wholeLength})) || '${rest}' = ${verbatim(column)}`;
}

function fractionTest(shape: IsoShape, column: string): string {
  const { strftime, wholeLength, zone } = shape;
  const digits = shape.fraction === "ms" ? 3 : 6;
  const end = wholeLength + 1 + digits;
  const whole = `strftime('${strftime}', substr(${column}, 1, ${wholeLength}))`;
  const fraction = `substr(${column}, ${wholeLength + 2}, ${digits})`;
  return `${lengthTest(column, end + zone.length)}${yearTest(shape, column)} AND ${fraction} NOT GLOB '*[^0-9]*' AND ${whole} || '.' || ${fraction} || '${zone}' = ${verbatim(column)}`;
}

/** Bytes too: characters are counted up to a NUL. */
function lengthTest(column: string, length: number): string {
  return `octet_length(${column}) = ${length} AND length(${column}) = ${length}`;
}

/** A column declared DATE would make a number of the year, and any text is more than a number. */
function yearTest({ type }: IsoShape, column: string): string {
  return type === "time without time zone" ? "" : ` AND ${verbatim(column)} >= '0001'`;
}

/** A text as it is: compared byte by byte whatever the column's collation, and never as a number. */
export function verbatim(column: string): string {
  return `(${column} || '') COLLATE BINARY`;
}
