import { quoteText } from "../quote.ts";
import { type Expression, Untranslatable } from "./expression.ts";
import { globToRegex, likePattern } from "./patterns.ts";
import { translateCall } from "./translate-call.ts";
import {
  asCondition,
  asNumber,
  asText,
  asValue,
  collated,
  commonType,
  isDouble,
  type Translated,
  type ValueType,
  value,
} from "./translated.ts";

/** Finds the columns that an expression may name. */
export type Scope = (qualifier: string | null, name: string) => Translated | null;

/**
 * Translates an expression whose meaning is the same in both databases for the types that its columns
 * have; refuses whatever might differ, rather than give a CHECK or an index another meaning.
 * @throws Untranslatable
 */
export function translate(expression: Expression, scope: Scope): Translated {
  const of = (inner: Expression) => translate(inner, scope);
  switch (expression.kind) {
    case "literal":
      return literal(expression.type, expression.value);
    case "column":
      return column(expression, scope);
    case "unary":
      return unary(expression.operator, of(expression.operand));
    case "binary":
      return isTruthTest(expression)
        ? truthTest(expression, of(expression.left))
        : binary(expression.operator, of(expression.left), of(expression.right));
    case "in":
      return inList(of(expression.operand), expression.list.map(of), expression.negated);
    case "between": {
      const low = binary(">=", of(expression.operand), of(expression.low));
      const high = binary("<=", of(expression.operand), of(expression.high));
      const both = value(`(${low.sql} AND ${high.sql})`, "boolean");
      return expression.negated ? unary("NOT", both) : both;
    }
    case "is-null":
      return value(
        `(${of(expression.operand).sql} IS ${expression.negated ? "NOT " : ""}NULL)`,
        "boolean",
      );
    case "pattern":
      return pattern(expression, of(expression.operand));
    case "case":
      return caseOf(expression, of);
    case "cast":
      return cast(of(expression.operand), expression.type);
    case "call":
      return translateCall(expression, of);
    case "collate":
      return { ...of(expression.operand), collation: expression.collation, collatedBy: "clause" };
  }
}

function literal(
  type: "integer" | "real" | "text" | "blob" | "null" | "boolean",
  text: string,
): Translated {
  if (type === "integer") return value(`${text}::bigint`, type);
  if (type === "real") return value(`${text}::double precision`, type);
  if (type === "text") return value(`${quoteText(text)}::text`, type);
  if (type === "blob") return value(`'\\x${text}'::bytea`, type);
  if (type === "boolean") return value(text, "boolean");
  return value("NULL", "null");
}

function column(expression: Extract<Expression, { kind: "column" }>, scope: Scope): Translated {
  const found = scope(expression.qualifier, expression.name);
  if (found) return found;
  if (expression.quoted) return literal("text", expression.name);
  throw new Untranslatable(`${expression.name} is no column that can be used in an expression`);
}

function unary(operator: "-" | "+" | "~" | "NOT", operand: Translated): Translated {
  if (operator === "NOT") return value(`(NOT ${asCondition(operand)})`, "boolean");
  if (operator === "+") return operand;
  const number = asNumber(operand);
  if (operator === "~" && isDouble(number.type)) throw new Untranslatable("~ of a real");
  return value(`(${operator} ${number.sql})`, number.type);
}

type Binary = Extract<Expression, { kind: "binary" }>;

/** `x IS TRUE` asks for any number but zero, and `x = TRUE` for 1 (SQLite manual, "Boolean Expressions"). */
function isTruthTest({ operator, right }: Binary): boolean {
  return /^IS\b/.test(operator) && right.kind === "literal" && right.type === "boolean";
}

function truthTest({ operator, right }: Binary, left: Translated): Translated {
  const wanted = right.kind === "literal" ? right.value : "true";
  return value(`(${asCondition(left)} ${operator} ${wanted})`, "boolean");
}

const COMPARISONS: Readonly<Record<string, string>> = {
  "=": "=",
  "<>": "<>",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
  IS: "IS NOT DISTINCT FROM",
  "IS NOT": "IS DISTINCT FROM",
};

function binary(operator: string, left: Translated, right: Translated): Translated {
  if (operator === "AND" || operator === "OR")
    return value(`(${asCondition(left)} ${operator} ${asCondition(right)})`, "boolean");
  const comparison = COMPARISONS[operator];
  if (comparison) return compare(comparison, left, right);
  if (operator === "||") return value(`(${asText(left).sql} || ${asText(right).sql})`, "text");
  if (["+", "-", "*"].includes(operator)) return arithmetic(operator, left, right);
  throw new Untranslatable(`operator ${operator} is not known here`);
}

function compare(operator: string, left: Translated, right: Translated): Translated {
  const [a, b] = [asValue(left), asValue(right)];
  assertComparable(a, b);
  const collation = collationOf(a, b);
  return value(`(${collated(a, collation)} ${operator} ${collated(b, collation)})`, "boolean");
}

/** SQLite manual, "Datatypes In SQLite", section 7.1: a clause before a column, the left before the right. */
function collationOf(left: Translated, right: Translated): string {
  for (const by of ["clause", "column"])
    for (const one of [left, right]) if (one.collatedBy === by) return one.collation;
  return "BINARY";
}

function assertComparable(a: Translated, b: Translated): void {
  const kind = (type: ValueType) => (isDouble(type) ? "integer" : type);
  if (a.type === "json" || b.type === "json") throw new Untranslatable("a json value is compared");
  if (a.type !== "null" && b.type !== "null" && kind(a.type) !== kind(b.type))
    throw new Untranslatable(`a ${a.type} is compared with a ${b.type}`);
}

function arithmetic(operator: string, left: Translated, right: Translated): Translated {
  const [a, b] = [asNumber(left), asNumber(right)];
  const isReal = isDouble(a.type) || isDouble(b.type);
  const operand = (one: Translated) =>
    isReal && one.type === "integer" ? `${one.sql}::double precision` : one.sql;
  return value(`(${operand(a)} ${operator} ${operand(b)})`, resultOf(a.type, b.type));
}

/** A real makes the result one; of integers alone, or what may be one, each row tells. */
function resultOf(a: ValueType, b: ValueType): ValueType {
  return (["real", "number"] as const).find((type) => type === a || type === b) ?? "integer";
}

function inList(operand: Translated, list: readonly Translated[], negated: boolean): Translated {
  if (list.length === 0) return value(negated ? "true" : "false", "boolean");
  const tests = list.map((one) => compare("=", operand, { ...one, collatedBy: null }));
  const any = value(`(${tests.map((test) => test.sql).join(" OR ")})`, "boolean");
  return negated ? unary("NOT", any) : any;
}

function pattern(
  expression: Extract<Expression, { kind: "pattern" }>,
  operand: Translated,
): Translated {
  const { pattern: wanted } = expression;
  if (operand.type !== "text" || wanted.kind !== "literal" || wanted.type !== "text")
    throw new Untranslatable("a pattern that is no constant, or a value that is no text");
  const test =
    expression.operator === "GLOB"
      ? `(${operand.sql} COLLATE "C" ~ ${quoteText(globToRegex(wanted.value))})`
      : `(lower(${operand.sql} COLLATE "C") LIKE ${quoteText(likePattern(wanted.value))} ESCAPE '')`;
  const matches = value(test, "boolean");
  return expression.negated ? unary("NOT", matches) : matches;
}

function caseOf(
  expression: Extract<Expression, { kind: "case" }>,
  of: (inner: Expression) => Translated,
): Translated {
  const operand = expression.operand ? of(expression.operand) : null;
  const results = expression.branches.map((branch) => asValue(of(branch.result)));
  const otherwise = expression.otherwise
    ? asValue(of(expression.otherwise))
    : value("NULL", "null");
  const branches = expression.branches.map((branch, index) => {
    const when = of(branch.when);
    const test = operand ? compare("=", operand, when).sql : asCondition(when);
    return `WHEN ${test} THEN ${results[index]?.sql}`;
  });
  const type = commonType([...results, otherwise]);
  return value(`(CASE ${branches.join(" ")} ELSE ${otherwise.sql} END)`, type);
}

function cast(operand: Translated, type: string): Translated {
  const wanted = type.toUpperCase();
  if (/CHAR|CLOB|TEXT/.test(wanted)) return asText(operand);
  const number = asNumber(operand);
  if (wanted.includes("INT"))
    return isDouble(number.type)
      ? value(`(trunc(${number.sql})::bigint)`, "integer")
      : { ...number, type: "integer" };
  if (/REAL|FLOA|DOUB/.test(wanted)) return value(`(${number.sql}::double precision)`, "real");
  throw new Untranslatable(`CAST to ${type} is not known here`);
}
