import type { Client } from "pg";
import { qualified } from "./ddl.ts";
import { finding, type MigrationFinding } from "./finding.ts";
import type { MigrationPlan, PlannedColumn, PlannedTable } from "./plan.ts";
import { sameName } from "./sqlite/schema.ts";
import { LOCK_TIMEOUT_MS } from "./target/hold-tables.ts";

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
export function keepsRowid({ key, rowid, columns }: PlannedTable): boolean {
  if (key.length > 0 || rowid === null) return false;
  return !columns.some((column) => sameName(column.source, rowid));
}

/** Adds the columns, which may stay NULL: after the switch the product writes rows without, until they are dropped. */
export async function addKeptRowids(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables.filter(keepsRowid))
    await client.query(
      `ALTER TABLE ${qualified(plan.schema, table.target)} ADD COLUMN ${KEPT_ROWID} bigint`,
    );
}

/** Lets a row be found by the rowid; once the rows are there. */
export async function indexKeptRowids(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables.filter(keepsRowid))
    await client.query(
      `CREATE UNIQUE INDEX ON ${qualified(plan.schema, table.target)} (${KEPT_ROWID})`,
    );
}

const TRIES = 6;

/**
 * Takes the columns away, with their indexes: a matter of the catalog alone. What is not there is no fault. Each table in a
 * transaction of its own, in the moments that the product's leave.
 * @returns false where they left none
 */
export async function dropKeptRowidsBeside(client: Client, plan: MigrationPlan): Promise<boolean> {
  await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
  try {
    for (const table of plan.tables.filter(keepsRowid))
      if (!(await triedToDrop(client, plan, table))) return false;
    return true;
  } finally {
    await client.query("SET lock_timeout = 0");
  }
}

export function keptRowidLeft(): MigrationFinding {
  return finding({
    id: "kept-rowid-left",
    severity: "warning",
    summary:
      "transactions of the product kept the columns lifeboat_rowid from being dropped: lifeboat migrate finish drops them",
  });
}

/** The same in the caller's transaction, which holds the tables. */
export async function dropKeptRowids(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables.filter(keepsRowid)) await client.query(dropSql(plan, table));
}

async function triedToDrop(
  client: Client,
  plan: MigrationPlan,
  table: PlannedTable,
): Promise<boolean> {
  for (let left = TRIES; left > 0; left--) {
    try {
      await client.query(dropSql(plan, table));
      return true;
    } catch (cause) {
      // lock_not_available: manual, appendix A.
      if ((cause as { code?: string }).code !== "55P03") throw cause;
    }
  }
  return false;
}

function dropSql({ schema }: MigrationPlan, { target }: PlannedTable): string {
  return `ALTER TABLE IF EXISTS ${qualified(schema, target)} DROP COLUMN IF EXISTS ${KEPT_ROWID}`;
}
