import { LifeboatError } from "@lifeboat/core";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";

/**
 * What tells the rows of a table apart in the log: its key, or the rowid where it has none.
 * @throws LifeboatError `NOT_CAPTURABLE` (refused) for a table WITHOUT ROWID whose key was left out by a choice
 */
export function identityColumns(table: PlannedTable): readonly string[] {
  if (table.key.length > 0) return table.key;
  if (table.rowid === null) throw notToldApart(table.name);
  return [table.rowid];
}

function notToldApart(table: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_CAPTURABLE",
    kind: "refused",
    message: `the rows of ${table} can't be told apart without its key, so the product's writes to it can't be followed`,
    remedy: `leave it out, by "${table}": {"table":"skip"} in migrate.columns, or load while nothing writes: lifeboat migrate load --offline`,
    details: { table },
  });
}

/** `k1`, `k2`, …: the log's columns have no type, so they hold every key as it is. */
export function logColumns(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `k${at + 1}`);
}

/** The columns that the log needs for the widest key. */
export function widestIdentity(plan: MigrationPlan): number {
  return Math.max(1, ...plan.tables.map((table) => identityColumns(table).length));
}

/** `new."a", new."b"`. */
export function identityOf(row: "new" | "old", table: PlannedTable): string {
  return identityColumns(table)
    .map((column) => `${row}.${quoteName(column)}`)
    .join(", ");
}

/** `"a", "b"`, of the table itself. */
export function identityList(table: PlannedTable): string {
  return nameList(identityColumns(table));
}
