import { reasonOf } from "@lifeboat/core";
import type { TableComparison } from "../compare.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import type { Source } from "../source.ts";
import { sameName } from "../sqlite/schema.ts";
import type { Direction } from "./verify-report.ts";

/** Tables and columns that came to SQLite after the load; what is calculated holds nothing of its own. */
export function unplanned(plan: MigrationPlan, source: Source): MigrationFinding[] {
  return source.schema.tables.flatMap((table) => {
    if (plan.leftOut.some((name) => sameName(name, table.name))) return [];
    const planned = plan.tables.find((one) => sameName(one.name, table.name));
    if (!planned) return [notLoaded(table.name, null)];
    return table.columns
      .filter((column) => !column.generated)
      .filter((column) => !planned.columns.some((one) => sameName(one.source, column.name)))
      .map((column) => notLoaded(table.name, column.name));
  });
}

function notLoaded(table: string, column: string | null): MigrationFinding {
  const kind = column === null ? "table" : "column";
  const what = column === null ? `table ${table}` : `column ${column} of ${table}`;
  return finding({
    id: `${kind}-not-loaded`,
    severity: "error",
    table,
    column,
    summary: `${what} came to SQLite after the load and is not in Postgres`,
  });
}

/** A table whose rows could not be compared. */
export function uncompared({ name }: Pick<PlannedTable, "name">): TableComparison {
  return {
    name,
    rows: 0,
    rowsInPostgres: 0,
    equal: false,
    differing: 0,
    differences: [],
    inFlight: 0,
  };
}

/** What a comparison of one table is to be told as. */
export function comparisonFindings(
  table: TableComparison,
  inFlightSample: readonly string[],
  direction: Direction,
): MigrationFinding[] {
  return [
    ...(table.differing > 0 || (!table.equal && table.inFlight === 0) ? [differs(table)] : []),
    ...(table.inFlight > 0 ? [inFlight(table, inFlightSample, direction)] : []),
  ];
}

function differs(compared: TableComparison): MigrationFinding {
  const columns = new Set(compared.differences.flatMap((one) => one.columns));
  return finding({
    id: "rows-differ",
    severity: "error",
    table: compared.name,
    column: columns.size > 0 ? [...columns].join(",") : null,
    count: compared.differing,
    sample: compared.differences.map((one) => `${one.key} (${one.kind})`),
    summary: `${compared.differing} rows of ${compared.name} differ${columns.size > 0 ? ` in ${[...columns].join(", ")}` : ""} (SQLite ${compared.rows}, Postgres ${compared.rowsInPostgres})`,
  });
}

/** Without keys nothing at all is told of a table while any of its rows is in flight. */
function inFlight(
  table: TableComparison,
  sample: readonly string[],
  direction: Direction,
): MigrationFinding {
  const { name, inFlight: count } = table;
  const isUntold = !table.equal && table.differing === 0;
  return finding({
    id: isUntold ? "table-in-flight" : "rows-in-flight",
    severity: isUntold ? "warning" : "info",
    table: name,
    count,
    sample,
    summary: isUntold ? untold(name, count, direction) : onTheWay(name, count, direction),
  });
}

function untold(table: string, count: number, direction: Direction): string {
  return direction === "sqlite-to-postgres"
    ? `${table} has no key and was not compared: ${count} of its rows were just written, and at no moment none`
    : `${table} has no key and was not compared: it was emptied or written anew as a whole in Postgres, which a sync brings`;
}

function onTheWay(table: string, count: number, direction: Direction): string {
  return direction === "sqlite-to-postgres"
    ? `${count} rows of ${table} were just written to SQLite and are not in Postgres as they are there; a sync brings them`
    : `${count} rows of ${table} were written to Postgres and are not in SQLite as they are there; a sync brings them, or a rollback does`;
}

export function unreadable(table: PlannedTable, cause: unknown): MigrationFinding {
  return finding({
    id: "schema-changed",
    severity: "error",
    table: table.name,
    summary: `table ${table.name} can't be read in SQLite as it was planned: ${reasonOf(cause)}`,
  });
}

export function notRecorded(reason: string): MigrationFinding {
  return finding({
    id: "verification-not-recorded",
    severity: "error",
    summary: `the result can't be written into the target's journal, where a cutover looks for it: ${reason}`,
  });
}

export function foreignKeysAside(): MigrationFinding {
  return finding({
    id: "foreign-keys-aside",
    severity: "info",
    summary:
      "foreign keys are dropped while changes are followed, since the role may not pass over them; the end of the sync makes and validates them again",
  });
}
