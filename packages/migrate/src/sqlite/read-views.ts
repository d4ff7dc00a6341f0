import type { Database } from "better-sqlite3";
import { SqliteError } from "better-sqlite3";
import { quoteName } from "../quote.ts";
import type { SqliteView, SqliteVirtualTable } from "./schema.ts";
import { isWord, tokensOf } from "./tokens.ts";

/** The views in the order of creation. */
export function readViews(db: Database): SqliteView[] {
  return db
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid",
    )
    .all()
    .map((row) => ({ ...row, columns: columnsOfView(db, row.name) }));
}

function columnsOfView(db: Database, name: string): string[] | null {
  try {
    return db
      .prepare(`SELECT * FROM ${quoteName(name)} LIMIT 0`)
      .columns()
      .map((column) => column.name);
  } catch (cause) {
    // A view on a table that is gone stays in the schema and fails when it is read.
    if (cause instanceof SqliteError) return null;
    throw cause;
  }
}

interface ListedTable {
  readonly name: string;
  readonly type: string;
  readonly sql: string | null;
}

/** The virtual tables, each with the shadow tables that hold its content. */
export function readVirtualTables(
  db: Database,
  tables: readonly ListedTable[],
): SqliteVirtualTable[] {
  const rows = db
    .prepare<[], ListedTable>(
      "SELECT name, 'virtual' AS type, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0",
    )
    .all();
  const shadows = tables.filter((table) => table.type === "shadow").map((table) => table.name);
  return rows.map((row) => ({
    name: row.name,
    ...moduleOf(row.sql ?? ""),
    shadowTables: shadows.filter((shadow) => shadow.startsWith(`${row.name}_`)),
  }));
}

function moduleOf(sql: string): { module: string; arguments: string } {
  const tokens = tokensOf(sql.replace(/\(.*$/s, ""));
  const using = tokens.findIndex((token) => isWord(token, "USING"));
  const open = sql.indexOf("(");
  return {
    module: tokens[using + 1]?.text.toLowerCase() ?? "unknown",
    arguments: open < 0 ? "" : sql.slice(open + 1, sql.lastIndexOf(")")).trim(),
  };
}
