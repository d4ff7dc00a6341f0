import type { Scope } from "../expression/translate-expression.ts";
import type { Translated, ValueType } from "../expression/translated.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { columnNamed, type SqliteTable, sameName } from "../sqlite/schema.ts";

/**
 * The class that a codec's values have in SQLite, where the Postgres value can stand for them in an
 * expression. Of any other (dates of texts, numbers among texts) an expression would mean something else.
 */
const CLASSES: Readonly<Record<string, ValueType>> = {
  integer: "integer",
  real: "real",
  text: "text",
  uuid: "text",
  bytes: "blob",
  boolean: "boolean",
  json: "json",
  number: "number",
  "number-real": "number",
};

/**
 * The columns of a table as its own expressions see them.
 * @param prefix put before each column, `u.`
 */
export function tableScope(
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  prefix = "",
): Scope {
  return (qualifier, name) => {
    if (qualifier !== null && !sameName(qualifier, table.name)) return null;
    const column = columns.find((one) => sameName(one.source, name));
    if (!column) return null;
    return {
      sql: sqlOf(column, prefix),
      type: CLASSES[column.codec] ?? "opaque",
      collation: columnNamed(table, name)?.collation ?? "BINARY",
      collatedBy: "column",
    } satisfies Translated;
  };
}

function sqlOf(column: PlannedColumn, prefix: string): string {
  const name = `${prefix}${quoteName(column.target)}`;
  if (column.codec === "uuid") return `${name}::text`;
  // Arithmetic of doubles, as SQLite does it, not of decimals.
  return column.codec === "number" ? `${name}::double precision` : name;
}
