import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { sameName } from "../sqlite/schema.ts";

/**
 * The columns by which a change names its row: the key, or, where nothing tells rows apart, all that
 * are stored. Of the latter the log counts copies that came and went.
 */
export function loggedColumns(table: PlannedTable): readonly PlannedColumn[] {
  if (table.key.length === 0) return storedColumns(table);
  return table.key.map((name) => {
    const column = table.columns.find((one) => sameName(one.source, name));
    if (!column) throw new Error(`key column ${name} of ${table.name} is not in the plan`);
    return column;
  });
}

/** Those that are written; what is calculated on either side is not. */
export function storedColumns(table: PlannedTable): readonly PlannedColumn[] {
  return table.columns.filter((column) => column.generated === null);
}

/** A table as its rows are compared: what is calculated is not in the log of a table without a key. */
export function comparedTable(table: PlannedTable): PlannedTable {
  return isKeyed(table) ? table : { ...table, columns: storedColumns(table) };
}

export function isKeyed(table: PlannedTable): boolean {
  return table.key.length > 0;
}
