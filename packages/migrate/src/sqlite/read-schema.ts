import type { Database } from "better-sqlite3";
import { quoteText } from "../quote.ts";
import { affinityOf } from "./affinity.ts";
import { hasOwnObjects, isOwnTable, isOwnTrigger } from "./own-objects.ts";
import { readForeignKeys } from "./read-foreign-keys.ts";
import { readIndexes } from "./read-indexes.ts";
import { readViews, readVirtualTables } from "./read-views.ts";
import type { SqliteColumn, SqliteSchema, SqliteTable } from "./schema.ts";
import { foldName, sameName } from "./schema.ts";
import { parseTableSql, type TableSql } from "./table-sql.ts";

interface TableListRow {
  readonly name: string;
  readonly type: "table" | "view" | "virtual" | "shadow";
  readonly wr: bigint;
  readonly strict: bigint;
  readonly sql: string | null;
}

/** Reads the whole schema of an open database. SQLite's own tables (`sqlite_…`) are no tables of the user, nor are Lifeboat's. */
export function readSchema(db: Database): SqliteSchema {
  const rows = db
    .prepare<[], TableListRow>(
      `SELECT l.name, l.type, l.wr, l.strict, s.sql FROM pragma_table_list() l
       LEFT JOIN sqlite_schema s ON s.name = l.name AND s.type IN ('table', 'view')
       WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.rowid`,
    )
    .all();
  const sequences = readSequences(db);
  const hasOwn = hasOwnObjects(db);
  return {
    tables: rows
      .filter((row) => row.type === "table" && !(hasOwn && isOwnTable(row.name)))
      .map((row) => readTable(db, row, sequences)),
    views: readViews(db),
    virtualTables: readVirtualTables(db, rows),
    triggers: db
      .prepare<[], { name: string; table: string; sql: string }>(
        `SELECT name, tbl_name AS "table", sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name`,
      )
      .all()
      .filter((trigger) => !(hasOwn && isOwnTrigger(trigger.name))),
  };
}

/** sqlite_sequence is an ordinary table that a user may fill by hand: only integers count. */
function readSequences(db: Database): Map<string, bigint> {
  const present = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").get();
  if (!present) return new Map();
  const rows = db
    .prepare<[], { name: string; seq: bigint }>(
      "SELECT name, max(seq) AS seq FROM sqlite_sequence WHERE typeof(seq) = 'integer' GROUP BY name",
    )
    .all();
  return new Map(rows.map((row) => [foldName(row.name), row.seq]));
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly notnull: bigint;
  readonly dflt_value: string | null;
  readonly pk: bigint;
  readonly hidden: bigint;
}

function readTable(
  db: Database,
  row: TableListRow,
  sequences: ReadonlyMap<string, bigint>,
): SqliteTable {
  const text = parseTableSql(row.sql ?? "");
  const strict = row.strict === 1n;
  const rows = db
    .prepare<[], ColumnRow>(`SELECT * FROM pragma_table_xinfo(${quoteText(row.name)})`)
    .all();
  const columns = rows.map((column) => readColumn(column, strict, text));
  const indexes = readIndexes(db, row.name);
  const keyRows = rows.filter((column) => column.pk > 0n).sort((a, b) => Number(a.pk - b.pk));
  const primaryKey = keyRows.map((column) => column.name);
  const withoutRowid = row.wr === 1n;
  const rowidAlias = rowidAliasOf(
    withoutRowid,
    keyRows,
    indexes.some((index) => index.origin === "pk"),
  );
  return {
    name: row.name,
    strict,
    withoutRowid,
    rowidAlias,
    rowid: withoutRowid ? null : (rowidAlias ?? freeRowidName(columns)),
    autoincrement: text.autoincrement,
    sequence: text.autoincrement ? (sequences.get(foldName(row.name)) ?? null) : null,
    columns,
    primaryKey,
    indexes,
    foreignKeys: readForeignKeys(db, row.name, text.deferred),
    checks: text.checks,
    conflictClauses: text.conflictClauses,
  };
}

function readColumn(row: ColumnRow, strict: boolean, text: TableSql): SqliteColumn {
  const folded = foldName(row.name);
  const sql = text.generated.get(folded);
  return {
    name: row.name,
    declaredType: declaredTypeOf(row.type),
    affinity: affinityOf(declaredTypeOf(row.type), strict),
    notNull: row.notnull === 1n,
    defaultSql: row.dflt_value,
    collation: text.collations.get(folded) ?? "BINARY",
    generated: row.hidden >= 2n && sql !== undefined ? { sql, stored: row.hidden === 3n } : null,
  };
}

/** `a INT GENERATED ALWAYS AS (…)` is reported with those two words as part of its type. */
function declaredTypeOf(type: string): string {
  return type.replace(/\s*\bGENERATED\s+ALWAYS$/i, "").trim();
}

/** Only INTEGER PRIMARY KEY without an index of its own is the rowid: INT, and INTEGER … DESC, are not. */
function rowidAliasOf(
  withoutRowid: boolean,
  keyRows: readonly ColumnRow[],
  hasKeyIndex: boolean,
): string | null {
  const only = keyRows[0];
  if (withoutRowid || hasKeyIndex || keyRows.length !== 1 || !only) return null;
  return sameName(only.type, "INTEGER") ? only.name : null;
}

function freeRowidName(columns: readonly SqliteColumn[]): string | null {
  const free = ["rowid", "_rowid_", "oid"].find(
    (name) => !columns.some((column) => sameName(column.name, name)),
  );
  return free ?? null;
}
