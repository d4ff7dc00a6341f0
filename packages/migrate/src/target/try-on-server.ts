import { randomUUID } from "node:crypto";
import { reasonOf } from "@lifeboat/core";
import type { Client } from "pg";
import { type DdlInput, ddlOf } from "../ddl.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { DdlPhase, DdlStatement, MigrationPlan } from "../plan.ts";
import { quoteName } from "../quote.ts";

/** What this server does not accept is dropped from the plan; what that means depends on what it was. */
const VERDICTS: Readonly<Partial<Record<DdlPhase, { id: string; severity: "error" | "warning" }>>> =
  {
    tables: { id: "table-refused", severity: "error" },
    keys: { id: "key-refused", severity: "error" },
    "foreign-keys": { id: "foreign-key-refused", severity: "error" },
    indexes: { id: "index-refused", severity: "warning" },
    checks: { id: "check-refused", severity: "warning" },
    views: { id: "view-refused", severity: "warning" },
  };

/**
 * Runs the plan's statements on the server, without a row, in a schema that the rollback takes away
 * again. What is refused becomes a finding and, where the data does not depend on it, leaves the plan.
 */
export async function tryOnServer(client: Client, plan: MigrationPlan): Promise<MigrationPlan> {
  const scratch = `lifeboat_trial_${randomUUID().slice(0, 8)}`;
  const findings: MigrationFinding[] = [];
  const refused = new Set<string>();
  await client.query("BEGIN");
  try {
    await client.query(`CREATE SCHEMA ${quoteName(scratch)}`);
    for (const statement of ddlOf(moved(plan, scratch))) {
      const reason = await refusalOf(client, statement);
      if (reason === null) continue;
      const verdict = verdictOf(plan, statement);
      if (!verdict || refused.has(statement.name)) continue;
      refused.add(statement.name);
      findings.push(noteRefusal(plan, statement, verdict, reason));
    }
  } finally {
    await client.query("ROLLBACK");
  }
  return withoutRefused(plan, refused, findings);
}

function moved(plan: MigrationPlan, schema: string): DdlInput {
  const from = `${quoteName(plan.schema)}.`;
  const to = `${quoteName(schema)}.`;
  const tables = plan.tables.map((table) => ({
    ...table,
    constraints: table.constraints.map((one) => ({
      ...one,
      definition:
        one.kind === "foreign-key"
          ? one.definition.replace(`REFERENCES ${from}`, `REFERENCES ${to}`)
          : one.definition,
    })),
  }));
  const views = plan.views.map((view) => ({ ...view, select: view.select.replaceAll(from, to) }));
  return { schema, tables, views };
}

async function refusalOf(client: Client, statement: DdlStatement): Promise<string | null> {
  if (statement.phase === "sequences" || statement.phase === "statistics") return null;
  await client.query("SAVEPOINT lifeboat_trial");
  try {
    await client.query(statement.sql);
    await client.query("RELEASE SAVEPOINT lifeboat_trial");
    return null;
  } catch (cause) {
    if ((cause as { code?: string }).code === undefined) throw cause;
    await client.query("ROLLBACK TO SAVEPOINT lifeboat_trial");
    return reasonOf(cause);
  }
}

function verdictOf(plan: MigrationPlan, { phase, table, name }: DdlStatement) {
  const planned = plan.tables.find((one) => one.name === table);
  const unique = phase === "indexes" && planned?.indexes.find((one) => one.name === name)?.unique;
  return unique ? { id: "index-refused", severity: "error" as const } : VERDICTS[phase];
}

function noteRefusal(
  plan: MigrationPlan,
  statement: DdlStatement,
  verdict: { id: string; severity: "error" | "warning" },
  reason: string,
): MigrationFinding {
  const isItself = statement.name === statement.table;
  return finding({
    ...verdict,
    ...answersTo(plan, statement, verdict),
    table: statement.table,
    summary: `Postgres refuses ${statement.name}${isItself ? "" : ` of ${statement.table}`}: ${reason}`,
  });
}

/** What may be left out, under the name that a choice has for it: of a table without its key it is the whole table. */
function answersTo(
  plan: MigrationPlan,
  { phase, table, name }: DdlStatement,
  { severity }: { severity: "error" | "warning" },
): Pick<MigrationFinding, "column" | "choices"> {
  if (severity === "warning") return { column: name === table ? null : name, choices: [] };
  const planned = plan.tables.find((one) => one.name === table);
  const parts = phase === "indexes" ? planned?.indexes : planned?.constraints;
  const part = phase === "keys" ? undefined : parts?.find((one) => one.name === name);
  if (!part) return { column: null, choices: [{ table: "skip" }] };
  return { column: part.subject, choices: [{ constraint: "skip" }] };
}

function withoutRefused(
  plan: MigrationPlan,
  refused: ReadonlySet<string>,
  findings: readonly MigrationFinding[],
): MigrationPlan {
  if (findings.length === 0) return plan;
  const tables = plan.tables.map((table) => ({
    ...table,
    constraints: table.constraints.filter((one) => one.kind !== "check" || !refused.has(one.name)),
    indexes: table.indexes.filter((one) => one.unique || !refused.has(one.name)),
  }));
  const views = plan.views.filter((view) => !refused.has(view.target));
  return {
    ...plan,
    tables,
    views,
    ddl: ddlOf({ schema: plan.schema, tables, views }),
    findings: [...plan.findings, ...findings],
  };
}
