import { basename } from "node:path";
import { LifeboatError, runSteps } from "@lifeboat/core";
import { assertChoicesUsed, assertCodecsKnown } from "./choices.ts";
import { ddlOf } from "./ddl.ts";
import { driftFindings } from "./drift.ts";
import { expectedSeconds } from "./expected-seconds.ts";
import { finding, type MigrationFinding } from "./finding.ts";
import { MapContext } from "./map/context.ts";
import { mapViews } from "./map/map-views.ts";
import { NameSpace } from "./map/names.ts";
import { mapTables } from "./map.ts";
import type { MigrationPlan, PlannedTable, PlannedView } from "./plan.ts";
import { type Profiles, profileTables } from "./profile-tables.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { rightsNow } from "./rights/app-rights.ts";
import { rightsFindings } from "./rights/rights-in-words.ts";
import { openSource, type Source } from "./source.ts";
import { productSchemaDigest } from "./sqlite/schema-digest.ts";
import { askTarget } from "./target/ask-target.ts";
import { serverError } from "./target/target-error.ts";
import { tryOnServer } from "./target/try-on-server.ts";

export interface PlanRequest extends MigrationRequest {
  /** With it every translated expression is tried on that server, in a transaction that is rolled back. */
  readonly postgres?: TargetAddress;
}

/**
 * Reads every stored value and decides how it goes over. Nothing is written on either side. Whether a
 * load may follow, `unansweredErrors` of the plan tells.
 * @throws LifeboatError `SQLITE_NOT_FOUND`, `SQLITE_UNREADABLE`, `CHOICE_UNKNOWN`, `CHOICE_IMPOSSIBLE`,
 * `SCHEMA_RESERVED`
 */
export async function planMigration(request: PlanRequest): Promise<MigrationPlan> {
  const source = openSource(request.sqlite.path);
  try {
    return await planSource(source, request);
  } finally {
    source.close();
  }
}

/** The same for a source that is held open, so that what was planned is what is then loaded. */
export async function planSource(source: Source, request: PlanRequest): Promise<MigrationPlan> {
  assertSchemaName(request.schema ?? "public");
  assertCodecsKnown(request.choices ?? {});
  const run = request.run ?? runSteps;
  let profiles: Profiles = { tables: new Map(), findings: [] };
  let plan: MigrationPlan | undefined;
  await run([
    {
      title: "profile the stored values",
      run: async (report) => {
        profiles = await profileTables(source, request, report);
      },
    },
    {
      title: "map types, keys and constraints",
      run: async () => {
        plan = mapSource(source, profiles, request);
      },
    },
    ...(request.postgres
      ? [
          {
            title: "try the translation on the server",
            run: async () => {
              if (plan && request.postgres) plan = await tried(plan, request.postgres, request);
            },
          },
        ]
      : []),
  ]);
  if (!plan) throw new Error("the step runner did not run the steps");
  return plan;
}

/** Schema `lifeboat` is removed when a migration is finished, and `pg_…` is the server's. */
function assertSchemaName(schema: string): void {
  if (schema !== "lifeboat" && schema !== "information_schema" && !schema.startsWith("pg_")) return;
  throw new LifeboatError({
    code: "SCHEMA_RESERVED",
    kind: "usage",
    message: `schema ${schema} is no place for a product's tables`,
    remedy: "set migrate.schema to another one, or leave it out for public",
    details: { schema },
  });
}

function mapSource(source: Source, profiles: Profiles, request: PlanRequest): MigrationPlan {
  const choices = request.choices ?? {};
  const context = new MapContext({
    source,
    profiles: profiles.tables,
    wishes: request.declared?.postgres,
    choices,
    schema: request.schema ?? "public",
    names: new NameSpace(),
  });
  context.findings.push(...profiles.findings);
  const tables = mapTables(context);
  const views = mapViews(context, tables);
  if (source.schema.tables.length === 0) context.findings.push(noTables(source));
  context.findings.push(...driftFindings(request.declared, source.schema, tables));
  const plan = assemblePlan(source, context, tables, views);
  assertChoicesUsed(choices, context.knownKeys, plan.leftOut);
  return plan;
}

/** As where the product has moved its file, and something made an empty one in its place. */
function noTables({ path }: Source): MigrationFinding {
  return finding({
    id: "no-tables",
    severity: "warning",
    count: 0,
    summary: `${path} holds no table: is it the product's database?`,
  });
}

function assemblePlan(
  source: Source,
  context: MapContext,
  tables: readonly PlannedTable[],
  views: readonly PlannedView[],
): MigrationPlan {
  const number = (pragma: string) => Number(source.db.pragma(pragma, { simple: true }));
  const sum = (of: (table: PlannedTable) => number) =>
    tables.reduce((total, table) => total + of(table), 0);
  return {
    format: 1,
    phase: "plan",
    madeAt: new Date().toISOString(),
    source: {
      file: basename(source.path),
      bytes: source.bytes,
      userVersion: number("user_version"),
      schemaVersion: number("schema_version"),
      schemaDigest: productSchemaDigest(source.db),
    },
    schema: context.schema,
    tables,
    views,
    leftOut: source.schema.tables
      .filter((table) => !context.tables.includes(table))
      .map((table) => table.name),
    ddl: ddlOf({ schema: context.schema, tables, views }),
    findings: context.findings,
    sizes: {
      tables: tables.length,
      rows: sum((table) => table.rows),
      bytes: sum((table) => table.bytes),
      expectedSeconds: expectedSeconds(tables),
    },
  };
}

async function tried(
  plan: MigrationPlan,
  address: TargetAddress,
  { appRole, signal }: PlanRequest,
): Promise<MigrationPlan> {
  try {
    return await askTarget(address, signal, async (client) => {
      const accepted = await tryOnServer(client, plan);
      if (appRole === undefined) return accepted;
      const whose = { role: appRole, schema: plan.schema };
      const rights = rightsFindings(await rightsNow(client, whose));
      return { ...accepted, findings: [...accepted.findings, ...rights] };
    });
  } catch (cause) {
    throw serverError(cause);
  }
}
