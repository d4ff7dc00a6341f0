import type { PlannedTable } from "../plan.ts";
import type { SqliteTable } from "../sqlite/schema.ts";

/** A table with its place in the plan, by which the log names it. */
export interface CapturedTable {
  readonly number: number;
  readonly planned: PlannedTable;
  readonly source: SqliteTable;
}
