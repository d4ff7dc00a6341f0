/**
 * The spellings of an instant, date or time that a text column may hold throughout. Each has one
 * spelling for each value, so the text comes back exactly from the Postgres type.
 */
export interface IsoShape {
  readonly name: string;
  /** Length in characters. */
  readonly length: number;
  /** SQLite: gives the text again when it is valid and of this shape. */
  readonly strftime: string;
  readonly type:
    | "timestamp without time zone"
    | "timestamp with time zone"
    | "date"
    | "time without time zone";
  /** Postgres: gives the text again. */
  readonly toChar: string;
}

export const ISO_SHAPES: readonly IsoShape[] = [
  stamp("datetime", "%Y-%m-%d %H:%M:%S", "YYYY-MM-DD HH24:MI:SS", 19),
  stamp("datetime-t", "%Y-%m-%dT%H:%M:%S", 'YYYY-MM-DD"T"HH24:MI:SS', 19),
  stamp("datetime-ms", "%Y-%m-%d %H:%M:%f", "YYYY-MM-DD HH24:MI:SS.MS", 23),
  stamp("datetime-t-ms", "%Y-%m-%dT%H:%M:%f", 'YYYY-MM-DD"T"HH24:MI:SS.MS', 23),
  stamp("datetime-z", "%Y-%m-%d %H:%M:%SZ", 'YYYY-MM-DD HH24:MI:SS"Z"', 20),
  stamp("datetime-t-z", "%Y-%m-%dT%H:%M:%SZ", 'YYYY-MM-DD"T"HH24:MI:SS"Z"', 20),
  stamp("datetime-ms-z", "%Y-%m-%d %H:%M:%fZ", 'YYYY-MM-DD HH24:MI:SS.MS"Z"', 24),
  stamp("datetime-t-ms-z", "%Y-%m-%dT%H:%M:%fZ", 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"', 24),
  { name: "date", length: 10, strftime: "%Y-%m-%d", type: "date", toChar: "YYYY-MM-DD" },
  {
    name: "time",
    length: 8,
    strftime: "%H:%M:%S",
    type: "time without time zone",
    toChar: "HH24:MI:SS",
  },
];

function stamp(name: string, strftime: string, toChar: string, length: number): IsoShape {
  const zoned = strftime.endsWith("Z");
  const type = zoned ? "timestamp with time zone" : "timestamp without time zone";
  return { name, length, strftime, type, toChar };
}

/** SQL that is true for a text of this shape. Year 0000, which Postgres has not, is no member. */
export function isoTest(shape: IsoShape, column: string): string {
  // A column declared DATE would make a number of the year, and any text is more than a number.
  const year = shape.name === "time" ? "" : ` AND ${verbatim(column)} >= '0001'`;
  return `length(${column}) = ${shape.length}${year} AND strftime('${shape.strftime}', ${column}) = ${verbatim(column)}`;
}

/** A text as it is: compared byte by byte whatever the column's collation, and never as a number. */
export function verbatim(column: string): string {
  return `(${column} || '') COLLATE BINARY`;
}
