import { finding } from "../finding.ts";
import { holdsOwnTexts, proposeIndex } from "../propose/propose-index.ts";
import { proposeTrigger } from "../propose/propose-trigger.ts";
import type { SqliteTrigger, SqliteVirtualTable } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";
import type { MappedTable } from "./map-foreign-keys.ts";

/**
 * Notes what a migration of tables does not carry: triggers, virtual tables, conflict clauses; where Postgres has an equal of it, with
 * that as a proposal.
 */
export function noteLeftBehind(context: MapContext, tables: readonly MappedTable[]): void {
  for (const trigger of context.source.schema.triggers) noteTrigger(context, trigger, tables);
  for (const virtual of context.source.schema.virtualTables)
    noteVirtualTable(context, virtual, tables);
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

function noteTrigger(
  context: MapContext,
  trigger: SqliteTrigger,
  tables: readonly MappedTable[],
): void {
  const { schema } = context.source;
  const proposal = proposeTrigger(trigger, { schema, tables, target: context.schema });
  context.add(
    finding({
      id: "trigger",
      severity: "warning",
      table: trigger.table,
      column: trigger.name,
      summary: `trigger ${trigger.name} on ${trigger.table} is not carried over${whatFor(proposal)}`,
      ...(proposal !== null && proposal.sql !== "" && { proposal: proposal.sql }),
    }),
  );
}

function whatFor(proposal: ReturnType<typeof proposeTrigger>): string {
  if (proposal === null) return ": write it again in PL/pgSQL where it is still needed";
  if (proposal.sql === "")
    return ": it only feeds an index that keeps itself up to date in Postgres";
  return proposal.isWhole
    ? "; a translation is proposed, for the time after the cutover"
    : "; a translation is proposed, for the time after the cutover, in which some is left to write";
}

function noteVirtualTable(
  context: MapContext,
  virtual: SqliteVirtualTable,
  tables: readonly MappedTable[],
): void {
  const shadows = virtual.shadowTables.length;
  const proposal = proposeIndex(virtual, tables, context.schema);
  const own = holdsOwnTexts(virtual) ? ", and neither are its texts, which lie in it alone" : "";
  context.add(
    finding({
      id: "virtual-table",
      severity: "warning",
      table: virtual.name,
      count: 1 + shadows,
      sample: [...virtual.shadowTables],
      summary: `virtual table ${virtual.name} (${virtual.module}) and its ${shadows} shadow tables are not carried over${own}${proposal === null ? "" : `; ${kindOf(virtual)} is proposed in its place`}`,
      ...(proposal !== null && { proposal }),
    }),
  );
}

function kindOf({ module }: SqliteVirtualTable): string {
  return module.startsWith("fts") ? "a tsvector with a GIN index" : "a column with a GiST index";
}
