import { Untranslatable } from "./expression.ts";

/**
 * `number` is an integer or a real, as each row has it, and a double where it is calculated with. `opaque` is a value that Postgres stores in another form than SQLite: all that can be asked is whether it is NULL. */
export type ValueType =
  | "integer"
  | "real"
  | "number"
  | "text"
  | "blob"
  | "boolean"
  | "null"
  | "json"
  | "opaque";

/** A translated expression: Postgres SQL, safe to stand inside any other, and the class that its value has in SQLite. */
export interface Translated {
  readonly sql: string;
  readonly type: ValueType;
  readonly collation: string;
  /** Where the collation comes from: a COLLATE clause, a column's own, or nowhere, and then it is BINARY. */
  readonly collatedBy: "clause" | "column" | null;
}

export function value(sql: string, type: ValueType): Translated {
  return { sql, type, collation: "BINARY", collatedBy: null };
}

/** A condition as Postgres wants it. SQLite takes any number other than zero for true. */
export function asCondition(one: Translated): string {
  if (one.type === "boolean") return one.sql;
  if (one.type === "null") return "NULL::boolean";
  if (isNumber(one.type)) return `(${one.sql} <> 0)`;
  throw new Untranslatable("a text has no truth value that Postgres shares");
}

/** A value as it may be stored or calculated with: a condition is 0 or 1. */
export function asValue(one: Translated): Translated {
  if (one.type === "opaque")
    throw new Untranslatable(`${one.sql} is stored in another form and can't be calculated with`);
  return one.type === "boolean"
    ? { ...one, sql: `(${one.sql})::int::bigint`, type: "integer" }
    : one;
}

export function asNumber(one: Translated): Translated {
  const number = asValue(one);
  if (isNumber(number.type) || number.type === "null") return number;
  throw new Untranslatable("a text or BLOB is used as a number");
}

export function isNumber(type: ValueType): boolean {
  return type === "integer" || isDouble(type);
}

/** Whether Postgres calculates with it as with a double. */
export function isDouble(type: ValueType): boolean {
  return type === "real" || type === "number";
}

export function asText(one: Translated): Translated {
  const text = asValue(one);
  if (text.type === "integer") return { ...text, sql: `(${text.sql})::text`, type: "text" };
  if (text.type === "text" || text.type === "null") return text;
  throw new Untranslatable(`a ${text.type} is used as a text`);
}

/** A text so that byte equality in Postgres is equality under the SQLite collation. */
export function collated(one: Translated, collation: string): string {
  if (one.type !== "text") return one.sql;
  if (collation === "BINARY") return `${one.sql} COLLATE "C"`;
  // NOCASE folds the 26 ASCII letters only, and so does lower() under collation "C".
  if (collation === "NOCASE") return `lower(${one.sql} COLLATE "C")`;
  if (collation === "RTRIM") return `rtrim(${one.sql} COLLATE "C", ' ')`;
  throw new Untranslatable(`collation ${collation} is not known here`);
}

/** The one class of several values; a value whose class depends on the row has no column type. */
export function commonType(values: readonly Translated[]): ValueType {
  const types = new Set(values.map((one) => one.type).filter((type) => type !== "null"));
  if (types.size === 2 && types.has("real") && types.has("number")) return "number";
  if (types.size > 1) throw new Untranslatable(`values of class ${[...types].join(" and ")} mixed`);
  return [...types][0] ?? "null";
}
