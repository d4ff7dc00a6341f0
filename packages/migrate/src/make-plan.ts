import { basename } from "node:path";
import { LifeboatError, runSteps } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
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
import { openSourceInParts, type PlanSource } from "./source.ts";
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
  const source = openSourceInParts(request.sqlite.path);
  try {
    return await planSource(source, request);
  } finally {
    source.close();
  }
}

/** The same for a source that is open: one that is held, so that what was planned is what is then loaded, or one that is read in parts. */
export async function planSource(source: PlanSource, request: PlanRequest): Promise<MigrationPlan> {
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

function mapSource(source: PlanSource, profiles: Profiles, request: PlanRequest): MigrationPlan {
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
  context.findings.push(...rollbackJournal(source));
  context.findings.push(...driftFindings(request.declared, source.schema, tables));
  const plan = assemblePlan(source, context, tables, views);
  assertChoicesUsed(choices, context.knownKeys, plan.leftOut);
  return plan;
}

/** As where the product has moved its file, and something made an empty one in its place. */
function noTables({ path }: PlanSource): MigrationFinding {
  return finding({
    id: "no-tables",
    severity: "warning",
    count: 0,
    summary: `${path} holds no table: is it the product's database?`,
  });
}

/** Readers and writers of such a file keep each other out, however short our reads are (sqlite.org/lockingv3.html). */
function rollbackJournal({ db, path, isLive }: PlanSource): MigrationFinding[] {
  if (!isLive || db.pragma("journal_mode", { simple: true }) === "wal") return [];
  const sql = `sqlite3 ${shellWord(path)} "PRAGMA journal_mode=WAL"`;
  return [
    finding({
      id: "rollback-journal",
      severity: "warning",
      summary: `${path} is in rollback-journal mode: while plan, load, sync or verify reads a part of it nobody can commit, and while the product commits they wait. Nothing is lost, but where the product writes beside them its commits wait for up to seconds, and fail with SQLITE_BUSY (database is locked) where its busy_timeout is shorter. Let the product switch it to WAL once, which stays with the file, or do so with the product stopped: ${sql}`,
    }),
  ];
}

function assemblePlan(
  source: PlanSource,
  context: MapContext,
  tables: readonly PlannedTable[],
  views: readonly PlannedView[],
): MigrationPlan {
  const sum = (of: (table: PlannedTable) => number) =>
    tables.reduce((total, table) => total + of(table), 0);
  return {
    format: 1,
    phase: "plan",
    madeAt: new Date().toISOString(),
    source: {
      file: basename(source.path),
      bytes: source.bytes,
      userVersion: Number(source.db.pragma("user_version", { simple: true })),
      schemaVersion: source.schemaVersion,
      schemaDigest: source.schemaDigest,
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
