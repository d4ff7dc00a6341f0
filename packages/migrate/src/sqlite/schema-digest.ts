import { createHash } from "node:crypto";
import type { Database } from "better-sqlite3";
import { hasOwnObjects, isOwnTable, isOwnTrigger } from "./own-objects.ts";

type SchemaRow = readonly [type: string, name: string, table: string, sql: string | null];

/** Of all that is in the schema. ANALYZE makes and fills sqlite_stat…, which are nobody's schema. */
export function schemaDigest(db: Database): string {
  return digestOf(schemaRows(db));
}

/** Of what the product has made in it, whether or not a migration has begun: what a plan was made from. */
export function productSchemaDigest(db: Database): string {
  const rows = schemaRows(db);
  if (!hasOwnObjects(db)) return digestOf(rows);
  return digestOf(rows.filter(([, name, table]) => !isOwnTable(table) && !isOwnTrigger(name)));
}

function schemaRows(db: Database): readonly SchemaRow[] {
  return db
    .prepare<[], SchemaRow>(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'
       ORDER BY type, name`,
    )
    .raw()
    .all();
}

function digestOf(rows: readonly SchemaRow[]): string {
  return createHash("sha256").update(JSON.stringify(rows)).digest("hex");
}
