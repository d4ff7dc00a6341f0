import { type LiveTable, liveSqlite } from "./drift.ts";
import type { TargetAddress } from "./request.ts";
import { openSource } from "./source.ts";
import { askTarget } from "./target/ask-target.ts";

/**
 * The tables of a live SQLite database, to be compared with what is declared.
 * @throws LifeboatError `SQLITE_NOT_FOUND`, `SQLITE_UNREADABLE`
 */
export function readSqliteTables(path: string): LiveTable[] {
  const source = openSource(path);
  try {
    return liveSqlite(source.schema);
  } finally {
    source.close();
  }
}

interface LiveColumnRow {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly not_null: boolean;
  readonly primary_key: boolean;
}

const COLUMNS = `
  SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
         a.attnotnull AS not_null, coalesce(a.attnum = ANY (k.conkey), false) AS primary_key
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   ORDER BY c.relname, a.attnum`;

/**
 * The tables of one schema of a live Postgres database, to be compared with what is declared.
 * @throws LifeboatError `POSTGRES_UNREACHABLE`, `TARGET_ENCODING`, `TARGET_TOO_OLD`
 */
export async function readPostgresTables(
  address: TargetAddress,
  signal: AbortSignal,
  schema = "public",
): Promise<LiveTable[]> {
  const { rows } = await askTarget(address, signal, (client) =>
    client.query<LiveColumnRow>(COLUMNS, [schema]),
  );
  return [...Map.groupBy(rows, (row) => row.table)].map(([name, columns]) => ({
    name,
    columns: columns.map((each) => ({
      name: each.column,
      type: each.type,
      notNull: each.not_null,
      primaryKey: each.primary_key,
    })),
  }));
}
