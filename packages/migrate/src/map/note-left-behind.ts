import { finding } from "../finding.ts";
import type { SqliteVirtualTable } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";

/** Notes what a migration of tables does not carry: triggers, virtual tables, conflict clauses. */
export function noteLeftBehind(context: MapContext): void {
  for (const trigger of context.source.schema.triggers)
    context.add(
      finding({
        id: "trigger",
        severity: "warning",
        table: trigger.table,
        column: trigger.name,
        summary: `trigger ${trigger.name} on ${trigger.table} is not carried over: write it again in PL/pgSQL where it is still needed`,
      }),
    );
  for (const virtual of context.source.schema.virtualTables) noteVirtualTable(context, virtual);
  for (const table of context.tables)
    if (table.conflictClauses > 0)
      context.add(
        finding({
          id: "conflict-clause",
          severity: "warning",
          table: table.name,
          count: table.conflictClauses,
          summary: `${table.name} resolves conflicts by ON CONFLICT clauses of its constraints; Postgres has them only in INSERT … ON CONFLICT`,
        }),
      );
}

function noteVirtualTable(context: MapContext, virtual: SqliteVirtualTable): void {
  const shadows = virtual.shadowTables.length;
  context.add(
    finding({
      id: "virtual-table",
      severity: "warning",
      table: virtual.name,
      count: 1 + shadows,
      sample: [...virtual.shadowTables],
      summary: `virtual table ${virtual.name} (${virtual.module}) and its ${shadows} shadow tables are not carried over${suggestion(virtual)}`,
    }),
  );
}

function suggestion(virtual: SqliteVirtualTable): string {
  if (virtual.module.startsWith("fts")) {
    const content = /content\s*=\s*'?"?(\w+)/.exec(virtual.arguments)?.[1];
    const columns = virtual.arguments
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "" && !part.includes("="))
      .map((part) => `coalesce(${part}, '')`);
    const text = columns.join(" || ' ' || ") || "body";
    return `; in Postgres a column search tsvector GENERATED ALWAYS AS (to_tsvector('simple', ${text})) STORED with a GIN index on it, on table ${content ?? "of the same rows"}, does its work`;
  }
  if (virtual.module.startsWith("rtree"))
    return "; in Postgres a GiST index on a box or range column does its work";
  return "";
}
