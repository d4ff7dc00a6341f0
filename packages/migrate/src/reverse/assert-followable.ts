import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { finding, type MigrationFinding } from "../finding.ts";
import { KEPT_ROWID } from "../kept-rowid.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";

interface ColumnRow {
  readonly relation: string;
  readonly column: string;
  readonly type: string;
  readonly captured: boolean;
  readonly generated: boolean;
  /** Written through another table, or holding rows that were written to another. */
  readonly related: boolean;
  readonly subscribed: boolean;
}

/** Tables with their columns, and whether all four triggers of the capture are there and fire. */
const COLUMNS = `
  SELECT c.relname AS relation, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
         a.attgenerated <> '' AS generated,
         EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) AS related,
         EXISTS (SELECT 1 FROM pg_subscription_rel s WHERE s.srrelid = c.oid) AS subscribed,
         (SELECT count(*) = 4 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
          AND t.tgname IN ('lifeboat_insert', 'lifeboat_update', 'lifeboat_delete', 'lifeboat_truncate')) AS captured
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind IN ('r', 'p')
     AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;

/** What changed in Postgres' schema since the load and SQLite has no place for. */
export async function unfollowable(
  client: Client,
  plan: MigrationPlan,
): Promise<MigrationFinding[]> {
  const { rows } = await client.query<ColumnRow>(COLUMNS, [plan.schema]);
  const relations = Map.groupBy(rows, (row) => row.relation);
  const findings: MigrationFinding[] = [];
  for (const relation of relations.keys())
    if (!plan.tables.some((table) => table.target === relation))
      findings.push(
        fault("table-not-in-sqlite", relation, null, "came to Postgres and is not in SQLite"),
      );
  for (const table of plan.tables) {
    const columns = relations.get(table.target);
    if (!columns) {
      findings.push(fault("table-missing", table.name, null, "is gone in Postgres"));
      continue;
    }
    findings.push(...changedColumns(table, columns));
  }
  return findings;
}

function changedColumns(
  table: PlannedTable,
  columns: readonly ColumnRow[],
): readonly MigrationFinding[] {
  const findings: MigrationFinding[] = [];
  const note = (id: string, column: string | null, what: string) =>
    findings.push(fault(id, table.name, column, what));
  if (!columns.every((column) => column.captured))
    note("capture-missing", null, "lost the triggers that keep its changes");
  if (columns.some((column) => column.related))
    note(
      "table-inherits",
      null,
      "has a parent or child table in Postgres, by which rows are written that its triggers don't see",
    );
  if (columns.some((column) => column.subscribed))
    note(
      "table-subscribed",
      null,
      "is written by a subscription in Postgres, which fires no trigger for each statement",
    );
  for (const { column, type, generated } of columns) {
    const planned = table.columns.find((one) => one.target === column);
    if (planned && planned.type !== type) note("column-changed", column, `became ${type}`);
    // What is calculated, such as a tsvector, holds nothing of its own; the rowid that we keep aside is none of the product's.
    if (!planned && !generated && column !== KEPT_ROWID)
      note("column-not-in-sqlite", column, "came to Postgres and is not in SQLite");
  }
  for (const { target } of table.columns)
    if (!columns.some((one) => one.column === target))
      note("column-missing", target, "is gone in Postgres");
  return findings;
}

function fault(id: string, table: string, column: string | null, what: string): MigrationFinding {
  const object = column === null ? `table ${table}` : `column ${column} of ${table}`;
  return finding({ id, severity: "error", table, column, summary: `${object} ${what}` });
}

/** @throws LifeboatError `NOT_FOLLOWABLE` that names the first of the findings and holds them all */
export function assertFollowable(findings: readonly MigrationFinding[]): void {
  const [first] = findings;
  if (!first) return;
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : "";
  throw new LifeboatError({
    code: "NOT_FOLLOWABLE",
    message: `SQLite can't follow Postgres: ${first.summary}${more}`,
    remedy:
      "nothing is lost: Postgres keeps its changes; set it right there, or in SQLite where SQLite refuses a row, then run this again. Where the product stays in Postgres, lifeboat migrate finish --without-sqlite gives the way back up",
    details: { findings },
  });
}
