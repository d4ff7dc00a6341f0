import type { Report } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import type { PlannedTable } from "../plan.ts";
import type { Sides } from "./sides.ts";

export interface CompareInput {
  readonly db: Database;
  readonly client: Client;
  readonly schema: string;
  readonly table: PlannedTable;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** How both sides are looked at while they are written; absent: the caller holds a snapshot of each. */
  readonly sides?: Sides;
}
