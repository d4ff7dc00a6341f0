import { quoteName } from "../quote.ts";
import { sameName } from "../sqlite/schema.ts";
import { type Expression, Untranslatable } from "./expression.ts";
import type { FromItem, Select } from "./parse-select.ts";
import { type Scope, translate } from "./translate-expression.ts";
import { asCondition, asValue, collated, type Translated } from "./translated.ts";

/** A table or view that a query may read. */
export interface Relation {
  readonly name: string;
  /** Its qualified name in Postgres. */
  readonly sql: string;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  readonly name: string;
  readonly target: string;
  /** What stands for the column in an expression; null where nothing has its meaning. */
  readonly inExpression: ((prefix: string) => Translated) | null;
}

export interface TranslatedSelect {
  readonly sql: string;
  readonly columns: readonly RelationColumn[];
}

interface Bound {
  readonly item: FromItem;
  readonly relation: Relation;
  readonly prefix: string;
}

interface Output {
  readonly name: string;
  /** The name that the query itself gives it. */
  readonly alias: string | null;
  readonly sql: string;
  readonly translated: Translated | null;
  readonly expression: Expression | null;
}

/**
 * Translates a query. A column that is merely shown goes as it is stored in Postgres; in an expression, an
 * order or a group it must mean the same there.
 * @param names the names of the result's columns
 * @throws Untranslatable
 */
export function translateSelect(
  select: Select,
  relations: readonly Relation[],
  names: readonly string[],
): TranslatedSelect {
  const bound = select.from.map((item) => bind(item, relations));
  const columns = scopeOf(bound);
  const outputs = outputsOf(select, bound, columns, names);
  const scope: Scope = (qualifier, name) => columns(qualifier, name) ?? named(outputs, name);
  const of = (expression: Expression) => translate(expression, scope);
  if (
    select.distinct &&
    outputs.some((one) => (one.translated?.collation ?? "BINARY") !== "BINARY")
  )
    throw new Untranslatable("DISTINCT under another collation than BINARY");
  const clauses = [
    `SELECT ${select.distinct ? "DISTINCT " : ""}${outputs.map((one) => `${one.sql} AS ${quoteName(one.name)}`).join(", ")}`,
    ...(bound.length > 0 ? [`FROM ${bound.map((one) => fromSql(one, of)).join("")}`] : []),
    ...(select.where ? [`WHERE ${asCondition(of(select.where))}`] : []),
    ...(select.groupBy.length > 0
      ? [`GROUP BY ${select.groupBy.flatMap((one) => grouped(one, of, bound)).join(", ")}`]
      : []),
    ...(select.having ? [`HAVING ${asCondition(of(select.having))}`] : []),
    ...(select.orderBy.length > 0
      ? [`ORDER BY ${select.orderBy.map((one) => ordered(one, of, outputs)).join(", ")}`]
      : []),
    ...limitSql(select.limit, of),
  ];
  return { sql: clauses.join(" "), columns: outputs.map(asColumn) };
}

function bind(item: FromItem, relations: readonly Relation[]): Bound {
  const relation = relations.find((one) => sameName(one.name, item.table));
  if (!relation) throw new Untranslatable(`${item.table} is not carried over`);
  return { item, relation, prefix: `${quoteName(item.alias)}.` };
}

function scopeOf(bound: readonly Bound[]): Scope {
  return (qualifier, name) => {
    for (const { item, relation, prefix } of bound) {
      if (qualifier !== null && !sameName(qualifier, item.alias)) continue;
      const column = relation.columns.find((one) => sameName(one.name, name));
      if (column && !column.inExpression)
        throw new Untranslatable(`${name} is stored in another form and can't be calculated with`);
      if (column?.inExpression) return column.inExpression(prefix);
    }
    return null;
  };
}

function named(outputs: readonly Output[], name: string): Translated | null {
  return outputs.find((one) => sameName(one.name, name))?.translated ?? null;
}

function outputsOf(
  select: Select,
  bound: readonly Bound[],
  scope: Scope,
  names: readonly string[],
): Output[] {
  const outputs = select.items.flatMap((item): Omit<Output, "name">[] => {
    if (!item.all) return [{ ...outputOf(item.expression, bound, scope), alias: item.alias }];
    return bound
      .filter((one) => item.qualifier === null || sameName(item.qualifier, one.item.alias))
      .flatMap(({ relation, prefix }) => relation.columns.map((column) => shown(column, prefix)));
  });
  if (outputs.length !== names.length)
    throw new Untranslatable("it shows a column that is not carried over");
  return outputs.map((output, index) => ({ ...output, name: names[index] ?? "" }));
}

function shown(column: RelationColumn, prefix: string): Omit<Output, "name"> {
  const sql = `${prefix}${quoteName(column.target)}`;
  return { sql, alias: null, translated: column.inExpression?.(prefix) ?? null, expression: null };
}

function outputOf(
  expression: Expression,
  bound: readonly Bound[],
  scope: Scope,
): Omit<Output, "name"> {
  const column = columnOf(expression, bound);
  if (column) return column;
  const translated = asValue(translate(expression, scope));
  return { sql: translated.sql, alias: null, translated, expression };
}

function columnOf(expression: Expression, bound: readonly Bound[]): Omit<Output, "name"> | null {
  if (expression.kind !== "column") return null;
  for (const { item, relation, prefix } of bound) {
    const column = relation.columns.find((one) => sameName(one.name, expression.name));
    if (column && (expression.qualifier === null || sameName(expression.qualifier, item.alias)))
      return shown(column, prefix);
  }
  return null;
}

/** What a view shows can be read by another view, as a column of the class that it was calculated as. */
function asColumn(output: Output): RelationColumn {
  const { translated, name } = output;
  const isPlain = output.expression !== null && translated !== null;
  return {
    name,
    target: name,
    inExpression: isPlain
      ? (prefix) => ({
          ...translated,
          sql: `${prefix}${quoteName(name)}`,
          collatedBy: "column",
        })
      : null,
  };
}

const JOINS: Readonly<Record<FromItem["join"], string>> = {
  first: "",
  inner: " JOIN ",
  left: " LEFT JOIN ",
  cross: " CROSS JOIN ",
};

function fromSql({ item, relation }: Bound, of: (expression: Expression) => Translated): string {
  const table = `${relation.sql} AS ${quoteName(item.alias)}`;
  if (item.join === "first" || (item.join === "cross" && !item.on))
    return `${JOINS[item.join]}${table}`;
  const on = item.on ? asCondition(of(item.on)) : "true";
  return `${JOINS[item.join === "cross" ? "inner" : item.join]}${table} ON ${on}`;
}

/** A column is shown as it is stored: Postgres must know that it is the group's, where an expression stands for its meaning. */
function grouped(
  expression: Expression,
  of: (inner: Expression) => Translated,
  bound: readonly Bound[],
): string[] {
  if (expression.kind === "literal") throw new Untranslatable("a column is named by its position");
  const translated = asValue(of(expression));
  if (translated.collation !== "BINARY") return [collated(translated, translated.collation)];
  const stored = columnOf(expression, bound)?.sql;
  return stored === undefined || stored === translated.sql
    ? [translated.sql]
    : [translated.sql, stored];
}

/** NULLs are the least values of SQLite; texts sort by their bytes there. */
function ordered(
  { expression, descending }: Select["orderBy"][number],
  of: (inner: Expression) => Translated,
  outputs: readonly Output[],
): string {
  if (expression.kind === "literal") throw new Untranslatable("a column is named by its position");
  const translated = asValue(aliased(expression, outputs) ?? of(expression));
  const sql = collated(translated, translated.collation);
  return `${sql} ${descending ? "DESC NULLS LAST" : "ASC NULLS FIRST"}`;
}

/** A name alone is that of a result before that of a column (SQLite manual, "SELECT", section 5). */
function aliased(expression: Expression, outputs: readonly Output[]): Translated | null {
  if (expression.kind !== "column" || expression.qualifier !== null) return null;
  const output = outputs.find(({ alias }) => alias !== null && sameName(alias, expression.name));
  if (output?.translated === null)
    throw new Untranslatable(`${output.name} is stored in another form and can't be sorted by`);
  return output?.translated ?? null;
}

/** Below zero there is no limit, and no offset (SQLite manual, "SELECT", section 6). */
function limitSql(limit: readonly Expression[], of: (inner: Expression) => Translated): string[] {
  return limit.flatMap((one, index) => {
    const isNegative = one.kind === "unary" && one.operator === "-";
    return isNegative ? [] : [`${index === 0 ? "LIMIT" : "OFFSET"} ${of(one).sql}`];
  });
}
