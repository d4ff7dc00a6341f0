import type Database from "better-sqlite3";
import { is, SQL } from "drizzle-orm";
import { getTableConfig, type Index, SQLiteTable } from "drizzle-orm/sqlite-core";

/** What drizzle and SQLite can both say of a table, in one form, so that the two can be compared. */
export interface TableShape {
  readonly columns: Readonly<Record<string, string>>;
  readonly primaryKey: readonly string[];
  readonly unique: readonly string[];
  readonly indexes: readonly string[];
  readonly foreignKeys: readonly string[];
}

/** The tables that a schema module exports, by name. */
export function declaredTables(schema: Record<string, unknown>): Record<string, TableShape> {
  const tables = Object.values(schema).filter((value) => is(value, SQLiteTable));
  return Object.fromEntries(tables.map((table) => [getTableConfig(table).name, declared(table)]));
}

function declared(table: SQLiteTable): TableShape {
  const { columns, primaryKeys, uniqueConstraints, indexes, foreignKeys } = getTableConfig(table);
  const keyed = columns.filter((column) => column.primary).map((column) => column.name);
  return {
    columns: Object.fromEntries(
      columns.map((column) => [
        column.name,
        columnShape({
          type: column.getSQLType(),
          notNull: column.notNull,
          hasDefault: column.default !== undefined,
          generated: column.generated !== undefined,
        }),
      ]),
    ),
    primaryKey: primaryKeys[0]?.columns.map((column) => column.name) ?? keyed,
    unique: [
      ...columns.filter((column) => column.isUnique).map((column) => column.name),
      ...uniqueConstraints.map((constraint) => names(constraint.columns)),
    ].sort(),
    indexes: indexes.map(indexShape).sort(),
    foreignKeys: foreignKeys
      .map((key) => {
        const { columns, foreignTable, foreignColumns } = key.reference();
        const target = `${getTableConfig(foreignTable).name} (${names(foreignColumns)})`;
        return `${names(columns)} -> ${target} ${key.onDelete?.toUpperCase() ?? "NO ACTION"}`;
      })
      .sort(),
  };
}

function indexShape({ config }: Index): string {
  const columns = config.columns.map((column) => (is(column, SQL) ? "expression" : column.name));
  const what = `${config.unique ? "unique " : ""}${config.name} (${columns.join(", ")})`;
  return config.where ? `${what} where` : what;
}

function names(columns: readonly { readonly name: string }[]): string {
  return columns.map((column) => column.name).join(", ");
}

/** The tables of a database that are neither SQLite's own nor part of a full-text index. */
export function actualTables(database: Database.Database): Record<string, TableShape> {
  const tables = database
    .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    .pluck()
    .all() as string[];
  const own = tables.filter((name) => !name.startsWith("sqlite_"));
  return Object.fromEntries(own.map((name) => [name, actual(database, name)]));
}

interface ColumnInfo {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
  readonly hidden: number;
}

interface IndexInfo {
  readonly name: string;
  readonly unique: number;
  readonly origin: string;
  readonly partial: number;
}

interface KeyInfo {
  readonly id: number;
  readonly table: string;
  readonly from: string;
  readonly to: string | null;
  readonly on_delete: string;
}

function actual(database: Database.Database, table: string): TableShape {
  const all = (pragma: string): unknown => database.pragma(`${pragma}("${table}")`);
  const columns = all("table_xinfo") as ColumnInfo[];
  const indexes = all("index_list") as IndexInfo[];
  const keys = Map.groupBy(all("foreign_key_list") as KeyInfo[], (key) => key.id);
  return {
    columns: Object.fromEntries(
      columns.map((column) => [
        column.name,
        columnShape({
          type: column.type,
          // The rowid under its own name: never NULL, without saying so.
          notNull: column.notnull === 1 || (column.pk === 1 && column.type === "INTEGER"),
          hasDefault: column.dflt_value !== null,
          generated: column.hidden > 1,
        }),
      ]),
    ),
    primaryKey: columns
      .filter((column) => column.pk > 0)
      .sort((a, b) => a.pk - b.pk)
      .map((column) => column.name),
    unique: indexes
      .filter((index) => index.origin === "u")
      .map((index) => indexedColumns(database, index.name))
      .sort(),
    indexes: indexes
      .filter((index) => index.origin === "c")
      .map((index) => {
        const what = `${index.name} (${indexedColumns(database, index.name)})`;
        return `${index.unique ? "unique " : ""}${what}${index.partial ? " where" : ""}`;
      })
      .sort(),
    foreignKeys: [...keys.values()].map((parts) => keyShape(database, parts)).sort(),
  };
}

/** A descending column counts as an expression, as drizzle has no other word for it. */
function indexedColumns(database: Database.Database, index: string): string {
  const columns = database.pragma(`index_xinfo("${index}")`) as {
    name: string | null;
    desc: number;
    key: number;
  }[];
  return columns
    .filter((column) => column.key === 1)
    .map((column) => (column.name === null || column.desc === 1 ? "expression" : column.name))
    .join(", ");
}

function keyShape(database: Database.Database, parts: readonly KeyInfo[]): string {
  const [first] = parts;
  if (first === undefined) throw new Error("a foreign key without a column");
  const target = parts.map((part) => part.to ?? primaryKeyOf(database, part.table)).join(", ");
  const columns = parts.map((part) => part.from).join(", ");
  return `${columns} -> ${first.table} (${target}) ${first.on_delete}`;
}

function primaryKeyOf(database: Database.Database, table: string): string {
  const columns = database.pragma(`table_info("${table}")`) as ColumnInfo[];
  return columns.find((column) => column.pk === 1)?.name ?? "rowid";
}

function columnShape(column: {
  readonly type: string;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly generated: boolean;
}): string {
  const words = [column.type.toLowerCase()];
  if (column.notNull) words.push("not null");
  if (column.hasDefault) words.push("default");
  if (column.generated) words.push("generated");
  return words.join(" ");
}
