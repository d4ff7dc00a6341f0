import type { Client } from "pg";
import { qualified } from "./ddl.ts";
import type { MigrationPlan, PlannedColumn, PlannedTable } from "./plan.ts";
import { quoteName } from "./quote.ts";
import { sameName } from "./sqlite/schema.ts";

/** Where the target keeps SQLite's rowid of a table without a key, until the cutover. */
export const KEPT_ROWID = "lifeboat_rowid";

/**
 * A table as its rows are told apart while it is followed: by its key, or by the rowid, which the target keeps in a
 * column of its own for so long.
 */
export function followedTable(table: PlannedTable): PlannedTable {
  const { rowid } = table;
  if (table.key.length > 0 || rowid === null) return table;
  if (!keepsRowid(table)) return { ...table, key: [rowid] };
  const kept: PlannedColumn = {
    source: rowid,
    target: KEPT_ROWID,
    type: "bigint",
    codec: "integer",
    nullable: false,
    default: null,
    identity: false,
    generated: null,
    escape: false,
  };
  return { ...table, columns: [...table.columns, kept], key: [rowid] };
}

/** Whether the rowid is no column that the product has made. */
function keepsRowid({ key, rowid, columns }: PlannedTable): boolean {
  if (key.length > 0 || rowid === null) return false;
  return !columns.some((column) => sameName(column.source, rowid));
}

/** Adds the columns to tables that are empty yet. */
export async function addKeptRowids(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables.filter(keepsRowid))
    await client.query(
      `ALTER TABLE ${qualified(plan.schema, table.target)} ADD COLUMN ${KEPT_ROWID} bigint NOT NULL`,
    );
}

/** Lets a row be found by the rowid; once the rows are there. */
export async function indexKeptRowids(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables.filter(keepsRowid))
    await client.query(
      `CREATE UNIQUE INDEX ON ${qualified(plan.schema, table.target)} (${KEPT_ROWID})`,
    );
}

/** Takes the columns away, with their indexes: a matter of the catalog alone. What is not there is no fault. */
export async function dropKeptRowids(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables.filter(keepsRowid))
    await client.query(
      `ALTER TABLE IF EXISTS ${qualified(plan.schema, table.target)} DROP COLUMN IF EXISTS ${quoteName(KEPT_ROWID)}`,
    );
}
