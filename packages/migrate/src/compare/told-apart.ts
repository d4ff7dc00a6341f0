import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { sameName } from "../sqlite/schema.ts";
import type { Catalog } from "./read-catalog.ts";

/** Where Postgres keeps SQLite's rowid of a table without a key for as long as it follows. */
const KEPT_ROWID = "lifeboat_rowid";

/** A table with its rows told apart by the rowid where it has no key and Postgres keeps that. */
export function toldApart(table: PlannedTable, now: Catalog): PlannedTable {
  const { rowid } = table;
  if (table.key.length > 0 || rowid === null) return table;
  if (table.columns.some((column) => sameName(column.source, rowid)))
    return { ...table, key: [rowid] };
  const keeps = now.items.some(
    (one) => one.kind === "column" && one.relation === table.target && one.name === KEPT_ROWID,
  );
  return keeps ? { ...table, key: [rowid], columns: [...table.columns, kept(rowid)] } : table;
}

function kept(rowid: string): PlannedColumn {
  return {
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
}
