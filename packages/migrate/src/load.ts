import { LifeboatError, runSteps } from "@lifeboat/core";
import type { Client } from "pg";
import type { MigrationFinding } from "./finding.ts";
import { LiveSource } from "./live-source.ts";
import { LiveLoad } from "./load/live-load.ts";
import type { LoadedTable, LoadRun, LoadRunInit } from "./load/load-run.ts";
import { QuietLoad } from "./load/quiet-load.ts";
import { removeLeftCapture } from "./load/start-capture.ts";
import { planSource } from "./make-plan.ts";
import { type MigrationPlan, unansweredErrors } from "./plan.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { assertPlanIsWanted, type ReviewedPlan } from "./reviewed-plan.ts";
import { openSource } from "./source.ts";
import { assertEmptyTarget } from "./target/assert-empty.ts";
import { cancelOnAbort } from "./target/cancel-on-abort.ts";
import { connectTarget } from "./target/connect.ts";
import { takeTargetLock } from "./target/lock.ts";
import { serverError } from "./target/target-error.ts";

export type { LoadedTable } from "./load/load-run.ts";

export interface LoadRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /**
   * The product writes meanwhile: SQLite logs its writes from the beginning of the load on, so that they can be followed and
   * the product cut over. Else SQLite is only read, and must be quiet.
   */
  readonly live?: boolean;
  /**
   * False: commit what was copied without comparing both sides first, so that the transaction is short; it then counts as not
   * verified until `verifyMigration` has found both sides equal. True when left out.
   */
  readonly compare?: boolean;
  /** Only of a live load: the plan to load by, as it was reviewed, in place of one that is made of the values as they are now. */
  readonly plan?: ReviewedPlan;
}

export interface LoadReport {
  readonly phase: "load";
  readonly id: string;
  readonly schema: string;
  readonly tables: readonly LoadedTable[];
  readonly findings: readonly MigrationFinding[];
  readonly rows: number;
  /** Bytes of COPY data. */
  readonly bytes: number;
  readonly seconds: number;
  /** Whether both sides were found equal before the commit. */
  readonly compared: boolean;
}

/**
 * Loads a SQLite database into an empty schema, in one transaction of Postgres: tables, rows, keys, indexes,
 * foreign keys, sequences, and the comparison of both sides. Only what compared equal is committed (unless asked not to compare),
 * so nobody ever sees half of it, and a load that was killed is simply run again.
 * @throws LifeboatError `PLAN_HAS_ERRORS`, `TARGET_NOT_EMPTY` (refused), `LOCKED`, `SOURCE_CHANGED`, `LOAD_DIFFERS`,
 * `TARGET_REFUSED`, `TARGET_REFUSED_ROWS`, `POSTGRES_LOST`, and those of `planMigration`; of a live one also
 * `VALUE_NOT_PLANNED`, `PLAN_OUTDATED`, and those of `installCapture`
 */
export async function loadMigration(request: LoadRequest): Promise<LoadReport> {
  const started = performance.now();
  const client = await connectTarget(request.postgres);
  try {
    await takeTargetLock(client);
    await assertEmptyTarget(client, request.schema ?? "public");
    if (request.live) return await loadLive(client, request, started);
    return await loadQuiet(client, request, started);
  } finally {
    await client.end();
  }
}

async function loadQuiet(
  client: Client,
  request: LoadRequest,
  started: number,
): Promise<LoadReport> {
  const source = openSource(request.sqlite.path);
  try {
    const plan = await planSource(source, request);
    assertAnswered(plan);
    const load = new QuietLoad(source, initOf(client, plan, request));
    return await loadBy(load, { client, plan, request, started });
  } finally {
    source.close();
  }
}

async function loadLive(
  client: Client,
  request: LoadRequest,
  started: number,
): Promise<LoadReport> {
  const source = LiveSource.open(request.sqlite.path);
  try {
    await removeLeftCapture(source, client);
    const plan = request.plan ? reviewed(request.plan, request) : await planOf(request);
    assertAnswered(plan);
    const load = new LiveLoad(source, initOf(client, plan, request));
    return await loadBy(load, { client, plan, request, started });
  } finally {
    source.close();
  }
}

function initOf(client: Client, plan: MigrationPlan, request: LoadRequest): LoadRunInit {
  return { id: newId(), client, plan, compares: request.compare ?? true, signal: request.signal };
}

function reviewed(plan: ReviewedPlan, { schema = "public", choices = {} }: LoadRequest) {
  assertPlanIsWanted(plan, { schema, choices });
  return plan;
}

/** From one snapshot, which is let go of before the copy begins. */
async function planOf(request: LoadRequest): Promise<MigrationPlan> {
  const source = openSource(request.sqlite.path);
  try {
    return await planSource(source, request);
  } finally {
    source.close();
  }
}

interface LoadContext {
  readonly client: Client;
  readonly plan: MigrationPlan;
  readonly request: LoadRequest;
  readonly started: number;
}

async function loadBy(load: LoadRun, context: LoadContext): Promise<LoadReport> {
  const { client, plan, request } = context;
  await using _ = await cancelOnAbort(client, request.postgres, request.signal);
  const run = request.run ?? runSteps;
  try {
    await run(load.steps());
  } catch (cause) {
    await load.abandon();
    request.signal.throwIfAborted();
    throw serverError(cause);
  }
  return {
    phase: "load",
    id: load.id,
    schema: plan.schema,
    tables: load.tables,
    findings: plan.findings,
    rows: load.tables.reduce((sum, table) => sum + table.rows, 0),
    bytes: load.tables.reduce((sum, table) => sum + table.bytes, 0),
    seconds: (performance.now() - context.started) / 1000,
    compared: load.compares,
  };
}

/** Ids sort by time. */
function newId(): string {
  return new Date().toISOString().replaceAll(/[-:]/g, "");
}

function assertAnswered(plan: MigrationPlan): void {
  const errors = unansweredErrors(plan);
  if (errors.length === 0) return;
  throw new LifeboatError({
    code: "PLAN_HAS_ERRORS",
    message: `the plan has ${errors.length} unanswered errors, the first: ${errors[0]?.summary}`,
    remedy:
      "run `lifeboat migrate plan`, and answer each error in migrate.columns of the configuration; nothing was created",
    details: { findings: plan.findings, phase: "load", tables: [] },
  });
}
