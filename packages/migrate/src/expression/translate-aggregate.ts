import { type Expression, Untranslatable } from "./expression.ts";
import { asNumber, asValue, isDouble, isNumber, type Translated, value } from "./translated.ts";

type Call = Extract<Expression, { kind: "call" }>;

const NAMES = new Set(["count", "sum", "total", "avg", "min", "max"]);

/** Whether a call stands for a whole group of rows; min and max of several values are no aggregates. */
export function isAggregate(call: Call): boolean {
  return NAMES.has(call.name) && (call.star || call.arguments.length === 1);
}

/** Translates count, sum, total, avg, min and max. @throws Untranslatable */
export function translateAggregate(call: Call, of: (inner: Expression) => Translated): Translated {
  const [argument] = call.arguments;
  if (call.star || !argument) return value("count(*)", "integer");
  const found = of(argument);
  if (call.name === "count" && !call.distinct) return value(`count(${found.sql})`, "integer");
  const one = asValue(found);
  // Under NOCASE two spellings are one value, of which SQLite keeps either.
  if (one.collation !== "BINARY")
    throw new Untranslatable(`${call.name} under collation ${one.collation}`);
  const distinct = call.distinct ? "DISTINCT " : "";
  switch (call.name) {
    case "count":
      return value(`count(${distinct}${one.sql})`, "integer");
    case "sum": {
      const number = asNumber(one);
      // Postgres sums integers to a numeric; SQLite to an integer.
      return isDouble(number.type)
        ? value(`sum(${distinct}${number.sql})`, number.type)
        : value(`(sum(${distinct}${number.sql})::bigint)`, "integer");
    }
    case "total":
      return value(`coalesce(sum(${distinct}${double(one)}), 0)`, "real");
    case "avg":
      return value(`avg(${distinct}${double(one)})`, "real");
    default:
      return extreme(call.name, one);
  }
}

function double(one: Translated): string {
  return `${asNumber(one).sql}::double precision`;
}

function extreme(name: string, one: Translated): Translated {
  if (one.type === "text") return value(`${name}(${one.sql} COLLATE "C")`, "text");
  if (isNumber(one.type)) return value(`${name}(${one.sql})`, one.type);
  throw new Untranslatable(`${name} of a ${one.type}`);
}
