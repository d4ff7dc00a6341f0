import type { Report } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import {
  compareLiveTable,
  compareTable,
  type LiveComparison,
  type TableComparison,
} from "../compare.ts";
import type { MigrationFinding } from "../finding.ts";
import type { PlannedTable } from "../plan.ts";
import type { CompareInput } from "./compare-input.ts";
import { type Patience, type SettleInput, settleAll, type Unsettled } from "./settle.ts";
import { comparisonFindings, uncompared, unreadable } from "./verify-findings.ts";
import type { Direction } from "./verify-report.ts";

/** What all tables of one verification are compared by. */
export interface ComparedBy extends Omit<CompareInput, "table" | "report"> {
  readonly direction: Direction;
}

/** How rows in flight are waited for. */
export interface Settling {
  /** What is open beside the rows. */
  readonly also: readonly Unsettled[];
  readonly watermark: SettleInput["watermark"];
  readonly patience: Patience;
  readonly report: Report;
}

/** The tables of one verification, one after the other. */
export class TableComparisons {
  readonly findings: MigrationFinding[] = [];
  readonly #by: ComparedBy;
  readonly #tables: (() => TableComparison)[] = [];
  readonly #live: LiveComparison[] = [];

  /** @param by without `sides` both databases are held still by the caller, and each table is told at once */
  constructor(by: ComparedBy) {
    this.#by = by;
  }

  input(table: PlannedTable, report: Report): CompareInput {
    return { ...this.#by, table, report };
  }

  /** @returns false where SQLite does not take a statement: its schema is another one by now */
  async compare(table: PlannedTable, report: Report): Promise<boolean> {
    const input = this.input(table, report);
    try {
      if (input.sides) {
        const comparison = await compareLiveTable({ ...input, sides: input.sides });
        this.#live.push(comparison);
        this.#tables.push(() => comparison.result().table);
      } else {
        const compared = await compareTable(input);
        this.findings.push(...this.#told(compared, []));
        this.#tables.push(() => compared);
      }
      return true;
    } catch (cause) {
      if (!(cause instanceof SqliteError) || cause.code !== "SQLITE_ERROR") throw cause;
      this.skip(table, unreadable(table, cause));
      return false;
    }
  }

  /** A table that can't be compared. */
  skip(table: PlannedTable, ...findings: readonly MigrationFinding[]): void {
    this.findings.push(...findings);
    this.#tables.push(() => uncompared(table));
  }

  /** Looks again at what was in flight, and tells the tables. */
  async settle({ also, watermark, patience, report }: Settling): Promise<void> {
    await settleAll({
      unsettled: [...this.#live.flatMap((one) => one.unsettled), ...also],
      watermark,
      patience,
      report,
      signal: this.#by.signal,
    });
    for (const comparison of this.#live) {
      const { table, inFlightSample } = comparison.result();
      this.findings.push(...this.#told(table, inFlightSample));
    }
  }

  tables(): TableComparison[] {
    return this.#tables.map((table) => table());
  }

  #told(table: TableComparison, inFlightSample: readonly string[]): MigrationFinding[] {
    return comparisonFindings(table, inFlightSample, this.#by.direction);
  }
}
