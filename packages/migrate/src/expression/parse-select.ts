import { isSign, isWord, tokensOf } from "../sqlite/tokens.ts";
import type { Expression } from "./expression.ts";
import { ExpressionParser } from "./parse-expression.ts";

/** A query as views of products mostly are: one SELECT over joined tables, without subqueries or UNION. */
export interface Select {
  readonly distinct: boolean;
  readonly items: readonly SelectItem[];
  readonly from: readonly FromItem[];
  readonly where: Expression | null;
  readonly groupBy: readonly Expression[];
  readonly having: Expression | null;
  readonly orderBy: readonly { readonly expression: Expression; readonly descending: boolean }[];
  readonly limit: readonly Expression[];
}

/** `*`, `t.*`, or an expression with or without a name. */
export type SelectItem =
  | { readonly all: true; readonly qualifier: string | null }
  | { readonly all: false; readonly expression: Expression; readonly alias: string | null };

export interface FromItem {
  readonly table: string;
  readonly alias: string;
  readonly join: "first" | "inner" | "left" | "cross";
  readonly on: Expression | null;
}

/** Reads the query of a CREATE VIEW. @throws Untranslatable for any other form */
export function parseViewSql(sql: string): Select {
  const tokens = tokensOf(sql);
  const as = tokens.findIndex((token) => isWord(token, "AS"));
  const parser = new ExpressionParser(tokens.slice(as + 1));
  const select = parseSelect(parser);
  parser.assertEnd();
  return select;
}

function parseSelect(parser: ExpressionParser): Select {
  parser.expectWord("SELECT");
  const distinct = parser.word("DISTINCT");
  const items = listOf(parser, parseItem);
  const from = parser.word("FROM") ? parseFrom(parser) : [];
  const where = parser.word("WHERE") ? parser.expression() : null;
  const groupBy = parser.word("GROUP") ? by(parser, () => parser.commaList()) : [];
  const having = parser.word("HAVING") ? parser.expression() : null;
  const orderBy = parser.word("ORDER") ? by(parser, () => listOf(parser, parseOrder)) : [];
  const limit = parser.word("LIMIT") ? parseLimit(parser) : [];
  return { distinct, items, from, where, groupBy, having, orderBy, limit };
}

function by<T>(parser: ExpressionParser, read: () => T): T {
  parser.expectWord("BY");
  return read();
}

function listOf<T>(parser: ExpressionParser, read: (parser: ExpressionParser) => T): T[] {
  const list = [read(parser)];
  while (parser.sign(",")) list.push(read(parser));
  return list;
}

function parseItem(parser: ExpressionParser): SelectItem {
  if (parser.sign("*")) return { all: true, qualifier: null };
  const { at } = parser;
  const name = parser.next().text;
  if (parser.sign(".") && parser.sign("*")) return { all: true, qualifier: name };
  parser.at = at;
  return { all: false, expression: parser.expression(), alias: parseAlias(parser) };
}

const CLAUSES = [
  "FROM",
  "WHERE",
  "GROUP",
  "HAVING",
  "ORDER",
  "LIMIT",
  "UNION",
  "INTERSECT",
  "EXCEPT",
  "WINDOW",
];
const JOINS = [
  "JOIN",
  "LEFT",
  "INNER",
  "CROSS",
  "NATURAL",
  "RIGHT",
  "FULL",
  "ON",
  "USING",
  "INDEXED",
  "NOT",
];

function parseAlias(parser: ExpressionParser): string | null {
  if (parser.word("AS")) return parser.next().text;
  const token = parser.peek();
  if (token?.kind === "quoted" || token?.kind === "string") return parser.next().text;
  if (token?.kind !== "word") return null;
  return [...CLAUSES, ...JOINS].includes(token.text.toUpperCase()) ? null : parser.next().text;
}

function parseFrom(parser: ExpressionParser): FromItem[] {
  const items = [parseTable(parser, "first")];
  for (;;) {
    const join = parseJoin(parser);
    if (!join) return items;
    const table = parseTable(parser, join);
    const on = parser.word("ON") ? parser.expression() : null;
    items.push({ ...table, on });
  }
}

function parseJoin(parser: ExpressionParser): FromItem["join"] | null {
  if (parser.sign(",")) return "cross";
  const left = parser.word("LEFT");
  if (left) parser.word("OUTER");
  const cross = !left && parser.word("CROSS");
  const inner = !left && !cross && parser.word("INNER");
  if (!parser.word("JOIN")) {
    if (left || cross || inner) throw parser.unknown();
    return null;
  }
  return left ? "left" : "inner";
}

function parseTable(parser: ExpressionParser, join: FromItem["join"]): FromItem {
  const token = parser.next();
  if (token.kind !== "word" && token.kind !== "quoted") throw parser.unknown();
  if (isSign(parser.peek(), ".") || isSign(parser.peek(), "(")) throw parser.unknown();
  return { table: token.text, alias: parseAlias(parser) ?? token.text, join, on: null };
}

function parseOrder(parser: ExpressionParser): { expression: Expression; descending: boolean } {
  const expression = parser.expression();
  const descending = parser.word("DESC");
  if (!descending) parser.word("ASC");
  return { expression, descending };
}

function parseLimit(parser: ExpressionParser): Expression[] {
  const limit = parser.expression();
  return parser.word("OFFSET") ? [limit, parser.expression()] : [limit];
}
