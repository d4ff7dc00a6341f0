import { type Expression, Untranslatable } from "./expression.ts";
import { isAggregate, translateAggregate } from "./translate-aggregate.ts";
import { asNumber, asText, asValue, commonType, type Translated, value } from "./translated.ts";

type Call = Extract<Expression, { kind: "call" }>;
type Rule = (values: readonly Translated[], call: Call) => Translated;

/** Beyond 2^52 a double has no fraction, and adding a half would change it. */
const NO_FRACTION = "4503599627370496";

/** Functions whose result is the same in both databases for every argument that they let through. */
const RULES: Readonly<Record<string, Rule>> = {
  lower: ([one]) => value(`lower(${text(one)} COLLATE "C")`, "text"),
  upper: ([one]) => value(`upper(${text(one)} COLLATE "C")`, "text"),
  length: ([one]) =>
    one?.type === "blob"
      ? value(`octet_length(${one.sql})::bigint`, "integer")
      : value(`char_length(${text(one)})::bigint`, "integer"),
  abs: ([one]) => {
    const number = asNumber(present(one));
    return value(`abs(${number.sql})`, number.type);
  },
  round: ([one, digits]) => {
    if (digits) throw new Untranslatable("round to a number of digits");
    return roundHalfAway(asNumber(present(one)));
  },
  coalesce: firstPresent,
  ifnull: firstPresent,
  nullif: ([one, other]) => {
    const [a, b] = [asValue(present(one)), asValue(present(other))];
    if (a.collation !== "BINARY" || b.collation !== "BINARY")
      throw new Untranslatable("nullif under another collation than BINARY");
    return value(`nullif(${a.sql}, ${b.sql})`, commonType([a, b]));
  },
  trim: trimmer("btrim"),
  ltrim: trimmer("ltrim"),
  rtrim: trimmer("rtrim"),
  replace: ([one, from, to], call) => {
    // Replacing nothing gives the text in both; a pattern that may be empty is left alone.
    const pattern = call.arguments[1];
    if (pattern?.kind !== "literal" || pattern.value === "")
      throw new Untranslatable("replace of no constant");
    return value(`replace(${text(one)}, ${text(from)}, ${text(to)})`, "text");
  },
  substr: substring,
  substring,
  typeof: ([one]) => {
    const known = present(one);
    if (["boolean", "json", "number", "opaque"].includes(known.type))
      throw new Untranslatable("typeof of a column with a codec");
    return value(`(CASE WHEN ${known.sql} IS NULL THEN 'null' ELSE '${known.type}' END)`, "text");
  },
  json_valid: ([one]) => {
    if (one?.type !== "json") throw new Untranslatable("json_valid of a text");
    return value(`(CASE WHEN ${one.sql} IS NOT NULL THEN true END)`, "boolean");
  },
};

/** Translates a call of a known function. @throws Untranslatable */
export function translateCall(call: Call, of: (inner: Expression) => Translated): Translated {
  if (isAggregate(call)) return translateAggregate(call, of);
  const rule = Object.hasOwn(RULES, call.name) ? RULES[call.name] : undefined;
  if (!rule) throw new Untranslatable(`function ${call.name}() is not known here`);
  return rule(call.arguments.map(of), call);
}

function present(one: Translated | undefined): Translated {
  if (!one) throw new Untranslatable("a function without its argument");
  return one;
}

function text(one: Translated | undefined): string {
  return asText(present(one)).sql;
}

function firstPresent(values: readonly Translated[]): Translated {
  const all = values.map(asValue);
  return value(`coalesce(${all.map((one) => one.sql).join(", ")})`, commonType(all));
}

function trimmer(name: string): Rule {
  return ([one, characters]) =>
    value(`${name}(${text(one)}, ${characters ? text(characters) : "' '"})`, "text");
}

/** SQLite's substr counts from the end and backwards too: only a plain constant start is the same. */
function substring(values: readonly Translated[], call: Call): Translated {
  const numbers = call.arguments
    .slice(1)
    .every(
      (one, index) =>
        one.kind === "literal" &&
        one.type === "integer" &&
        Number(one.value) >= (index === 0 ? 1 : 0),
    );
  if (!numbers || values.length < 2)
    throw new Untranslatable("substr with a start that is no constant");
  const parts = [text(values[0]), ...values.slice(1).map((one) => `${one.sql}::int`)];
  return value(`substr(${parts.join(", ")})`, "text");
}

/** SQLite rounds halves away from zero; Postgres rounds those of a double to the even neighbour. */
function roundHalfAway(number: Translated): Translated {
  if (number.type === "integer") return value(`${number.sql}::double precision`, "real");
  const rounded = `trunc(${number.sql} + sign(${number.sql}) * 0.5)`;
  return value(
    `(CASE WHEN abs(${number.sql}) < ${NO_FRACTION} THEN ${rounded} ELSE ${number.sql} END)`,
    "real",
  );
}
