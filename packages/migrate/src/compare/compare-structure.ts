import { finding, type MigrationFinding } from "../finding.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import type { Catalog, CatalogItem } from "./read-catalog.ts";

/** Names what a table lacks for its rows to be compared at all: itself, columns, their types. */
export function missingColumns(table: PlannedTable, now: Catalog): MigrationFinding[] {
  const columns = now.items.filter((one) => one.kind === "column" && one.relation === table.target);
  if (columns.length === 0)
    return [
      differs(table.name, "table", null, "is missing in Postgres: its rows were not compared"),
    ];
  return table.columns.flatMap((column) => {
    const found = columns.find((one) => one.name === column.target);
    if (found?.type === column.type) return [];
    const fault = found ? `is ${found.type} instead of ${column.type}` : "is missing";
    const what = `${fault} in Postgres: the rows of ${table.name} were not compared`;
    return [differs(table.name, "column", column.target, what)];
  });
}

/**
 * Names every column, constraint, index and view that the server does not describe as right after the load,
 * and every view that is gone. What is missing of the rest, others name.
 */
export function changedDefinitions(
  plan: MigrationPlan,
  then: Catalog | null,
  now: Catalog,
): MigrationFinding[] {
  if (then === null || then.major !== now.major) return [notCompared()];
  const key = ({ kind, relation, name }: CatalogItem) => JSON.stringify([kind, relation, name]);
  const present = new Map(now.items.map((one) => [key(one), one]));
  return then.items.flatMap((one) => {
    const found = present.get(key(one));
    const name = nameOf(plan, one.relation);
    if (!found && one.kind === "view")
      return [differs(name, "view", null, "is missing in Postgres")];
    if (!found || found.definition === one.definition || found.type !== one.type) return [];
    const fault = `is ${found.definition} in Postgres, and was loaded as ${one.definition}`;
    return [differs(name, one.kind, one.kind === "view" ? null : one.name, fault)];
  });
}

function nameOf({ tables, views }: MigrationPlan, target: string): string {
  return [...tables, ...views].find((one) => one.target === target)?.name ?? target;
}

function differs(
  table: string,
  kind: "table" | CatalogItem["kind"],
  column: string | null,
  fault: string,
): MigrationFinding {
  const object = column === null ? `${kind} ${table}` : `${kind} ${column} of ${table}`;
  return finding({
    id: `${kind}-differs`,
    severity: "error",
    table,
    column,
    summary: `${object} ${fault}`,
  });
}

function notCompared(): MigrationFinding {
  return finding({
    id: "definitions-not-compared",
    severity: "warning",
    summary:
      "defaults and the definitions of constraints and indexes were not compared: the load was by another version",
  });
}
