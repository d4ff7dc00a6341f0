import { followedTable, KEPT_ROWID, keepsRowid } from "../kept-rowid.ts";
import type { PlannedTable } from "../plan.ts";
import type { Catalog } from "./read-catalog.ts";

/** A table with its rows told apart by the rowid where it has no key and Postgres keeps that. */
export function toldApart(table: PlannedTable, now: Catalog): PlannedTable {
  if (!keepsRowid(table)) return followedTable(table);
  const keeps = now.items.some(
    (one) => one.kind === "column" && one.relation === table.target && one.name === KEPT_ROWID,
  );
  return keeps ? followedTable(table) : table;
}
