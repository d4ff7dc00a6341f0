import type { Report } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { compareByDigest } from "./compare/compare-by-digest.ts";
import { compareKeyed } from "./compare/compare-keyed.ts";
import type { PlannedTable } from "./plan.ts";

export interface CompareInput {
  readonly db: Database;
  readonly client: Client;
  readonly schema: string;
  readonly table: PlannedTable;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** A row that the two sides do not hold alike. */
export interface Difference {
  /** The key's values; without a key SQLite's rowid or Postgres's ctid. */
  readonly key: string;
  readonly kind: "missing-in-postgres" | "missing-in-sqlite" | "different";
  /** The columns that differ, as far as they were looked at. */
  readonly columns: readonly string[];
}

export interface TableComparison {
  readonly name: string;
  readonly rows: number;
  readonly rowsInPostgres: number;
  readonly equal: boolean;
  /** How many rows differ. */
  readonly differing: number;
  /** The first of them. */
  readonly differences: readonly Difference[];
}

const SHOWN_DIFFERENCES = 20;

/** Gathers what the comparison of one table finds. */
export class Differences {
  readonly found: Difference[] = [];
  here = 0;
  there = 0;
  count = 0;

  get full(): boolean {
    return this.found.length >= SHOWN_DIFFERENCES;
  }

  rows(here: number, there: number): void {
    this.here += here;
    this.there += there;
  }

  add(difference: Difference): void {
    this.count++;
    if (!this.full) this.found.push(difference);
  }
}

/**
 * Compares every value of a table on both sides, as SQLite holds it: what Postgres stores is brought
 * back by its codec first, there, in SQL. Differing rows are named by their keys.
 */
export async function compareTable(input: CompareInput): Promise<TableComparison> {
  const differences = new Differences();
  if (isWalkedInOrder(input.table)) await compareKeyed(input, differences);
  else await compareByDigest(input, differences);
  return {
    name: input.table.name,
    rows: differences.here,
    rowsInPostgres: differences.there,
    equal: differences.count === 0 && differences.here === differences.there,
    differing: differences.count,
    differences: differences.found,
  };
}

/** Beyond so many rows, reading the whole table again for each chunk of it would cost too much. */
const MAX_UNINDEXED_ROWS = 100_000;

/** Postgres can walk a key in SQLite's order by its index, unless that sorts texts by a language. */
function isWalkedInOrder(table: PlannedTable): boolean {
  if (table.key.length === 0) return false;
  const types = table.key.map((name) => table.columns.find((one) => one.source === name)?.type);
  return table.rows <= MAX_UNINDEXED_ROWS || !types.includes("text");
}
