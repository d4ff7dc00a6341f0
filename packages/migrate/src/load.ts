import { LifeboatError, runSteps } from "@lifeboat/core";
import type { Client } from "pg";
import { assertAllCapturable, capturedFor } from "./capture/install-capture.ts";
import { LiveSource } from "./live-source.ts";
import { CommittedLoad, CommittedQuietLoad, committedLoad } from "./load/committed-load.ts";
import { LiveLoad, type LoadPace } from "./load/live-load.ts";
import type { LoadReport, LoadRun } from "./load/load-run.ts";
import { QuietLoad } from "./load/quiet-load.ts";
import { removeLeftCapture } from "./load/start-capture.ts";
import { planSource } from "./make-plan.ts";
import { type MigrationPlan, unansweredErrors } from "./plan.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { assertPlanIsWanted, type ReviewedPlan } from "./reviewed-plan.ts";
import { openSource, openSourceInParts } from "./source.ts";
import { sourceError } from "./source-error.ts";
import { assertEmptyTarget } from "./target/assert-empty.ts";
import { assertTemporary } from "./target/assert-temporary.ts";
import { breakOnAbort } from "./target/break-connection.ts";
import { cancelOnAbort } from "./target/cancel-on-abort.ts";
import { connectTarget } from "./target/connect.ts";
import type { JournalEntry } from "./target/journal.ts";
import { takeTargetLock } from "./target/lock.ts";
import { serverError } from "./target/target-error.ts";

export type { LoadPace } from "./load/live-load.ts";
export type { LoadedTable, LoadReport } from "./load/load-run.ts";

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
  /** Only of a live load: whether it rests where the product would else lose writes; `adaptive` when left out. */
  readonly pace?: LoadPace;
  /** Only of a live load: the plan to load by, as it was reviewed, in place of one that is made of the values as they are now. */
  readonly plan?: ReviewedPlan;
  /**
   * Keeps the report for good, before the journal says that the load was ended. Until then the next load ends this one; from
   * then on its tables are in the way of another (`TARGET_NOT_EMPTY`).
   */
  readonly onEnd?: (report: LoadReport) => Promise<void>;
}

/**
 * Loads a SQLite database into an empty schema, in one transaction of Postgres: tables, rows, keys, indexes,
 * foreign keys, sequences, and the comparison of both sides. Only what compared equal is committed (unless asked not to compare),
 * so nobody ever sees half of it, and a load that was killed is simply run again: it begins anew, or ends what was committed.
 * @throws LifeboatError `PLAN_HAS_ERRORS`, `TARGET_NOT_EMPTY` (refused), `TARGET_DENIED`, `LOCKED`, `SOURCE_CHANGED`, `LOAD_DIFFERS`,
 * `TARGET_REFUSED`, `TARGET_REFUSED_ROWS`, `POSTGRES_LOST`, and those of `planMigration`; of a live one also
 * `VALUE_NOT_PLANNED`, `PLAN_OUTDATED`, and those of `installCapture`
 */
export async function loadMigration(request: LoadRequest): Promise<LoadReport> {
  const started = performance.now();
  const client = await connectTarget(request.postgres, request.signal);
  breakOnAbort(client, request.signal);
  try {
    await takeTargetLock(client);
    const context = { client, request, started };
    const isLive = request.live === true;
    const committed = await committedLoad(client, request.schema ?? "public", isLive).catch(
      (cause: unknown) => {
        // Schema lifeboat may hold somebody else's journal.
        throw serverError(cause);
      },
    );
    if (isLive) return await loadLive(context, committed);
    return await loadQuiet(context, committed);
  } catch (cause) {
    throw sourceError(cause);
  } finally {
    await client.end();
  }
}

interface LoadContext {
  readonly client: Client;
  readonly request: LoadRequest;
  readonly started: number;
}

async function loadQuiet(
  context: LoadContext,
  committed: JournalEntry | null,
): Promise<LoadReport> {
  const { client, request } = context;
  if (!committed) await assertEmptyTarget(client, request.schema ?? "public");
  const source = openSource(request.sqlite.path);
  try {
    if (committed)
      return await loadBy(new CommittedQuietLoad(source, committed, init(context)), context);
    const plan = await planSource(source, request);
    assertAnswered(plan);
    const load = new QuietLoad(source, { ...init(context), id: newId(), plan });
    return await loadBy(load, context);
  } finally {
    source.close();
  }
}

async function loadLive(context: LoadContext, committed: JournalEntry | null): Promise<LoadReport> {
  const { client, request } = context;
  const source = LiveSource.open(request.sqlite.path);
  try {
    if (committed && capturedFor(source.db) === committed.id)
      return await loadBy(new CommittedLoad(source, committed, init(context)), context);
    await assertEmptyTarget(client, request.schema ?? "public");
    await assertTemporary(client);
    await removeLeftCapture(source, client);
    const plan = request.plan ? reviewed(request.plan, request) : await planOf(request);
    assertAnswered(plan);
    // Before the journal knows of a load: what is refused leaves nothing.
    assertAllCapturable(source.db, plan);
    const { pace = "adaptive" } = request;
    const load = new LiveLoad(source, { ...init(context), id: newId(), plan, pace });
    return await loadBy(load, context);
  } finally {
    source.close();
  }
}

function reviewed(plan: ReviewedPlan, { schema = "public", choices = {} }: LoadRequest) {
  assertPlanIsWanted(plan, { schema, choices });
  return plan;
}

function init({ client, request, started }: LoadContext) {
  const { compare: compares = true, onEnd, signal } = request;
  return { client, started, compares, onEnd, signal };
}

/** What is written since is held against the plan as it is copied or brought. */
async function planOf(request: LoadRequest): Promise<MigrationPlan> {
  const source = openSourceInParts(request.sqlite.path);
  try {
    return await planSource(source, request);
  } finally {
    source.close();
  }
}

async function loadBy(load: LoadRun, { client, request }: LoadContext): Promise<LoadReport> {
  await using _ = await cancelOnAbort(client, request.postgres, request.signal);
  const run = request.run ?? runSteps;
  try {
    await run(load.steps());
  } catch (cause) {
    const named = load.named(cause);
    await load.abandon();
    request.signal.throwIfAborted();
    throw serverError(named);
  }
  return load.report();
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
