import { type EngineKind, LifeboatError, runSteps } from "@lifeboat/core";
import type { Client } from "pg";
import { CutoverRun } from "./cutover/cutover-run.ts";
import type { Gate, GateFinding, GateName } from "./cutover/gates.ts";
import type { MigrationFinding } from "./finding.ts";
import { assertCaptured } from "./forward/sync.ts";
import type { SyncedTable } from "./forward/sync-tally.ts";
import { LiveSource } from "./live-source.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { connectTarget } from "./target/connect.ts";
import { advance, currentMigration, type JournalEntry } from "./target/journal.ts";
import { takeTargetLock } from "./target/lock.ts";
import { serverError } from "./target/target-error.ts";

export interface CutoverRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** Seconds in which the product must be in Postgres after SQLite refuses its writes; else SQLite takes them again. */
  readonly budgetSeconds?: number;
  /** Gates that need not be met. */
  readonly skip?: readonly GateName[];
  /** The gates that the caller looks at; one that is left out counts as met by nobody's looking, and is not shown. */
  readonly gates?: Partial<Record<"archive" | "drill" | "disk", () => Promise<GateFinding>>>;
  /** Takes a backup of one side; left out where the caller has taken them. */
  readonly backup?: (engine: EngineKind, signal: AbortSignal) => Promise<string>;
  /** The product's own switch to Postgres. */
  readonly onCutover?: (signal: AbortSignal) => Promise<void>;
}

export interface CutoverReport {
  readonly phase: "cutover";
  readonly id: string;
  readonly tables: readonly SyncedTable[];
  readonly findings: readonly MigrationFinding[];
  readonly gates: readonly Gate[];
  /** Ids of the backups that were taken before. */
  readonly backups: readonly string[];
  /** Rows that were written or removed in Postgres. */
  readonly rows: number;
  /** From having SQLite's write lock to the commit of the refusals; 0 where an earlier run had frozen it. */
  readonly holdSeconds: number;
  /** From there until the product's switch returned. */
  readonly switchSeconds: number;
  readonly seconds: number;
}

/**
 * Moves the product from SQLite to Postgres: after its backups and gates, writers wait for the milliseconds of the last
 * delta, then are refused loudly until the product's own switch has returned. Before that switch any failure, and the
 * budget, gives the product back to SQLite with nothing lost; a kill leaves what the next run ends, and one that is
 * done already changes nothing. See decision 33.
 * @throws LifeboatError `NOT_LOADED`, `NOT_CAPTURED` (not-found), `GATE_NOT_MET` (refused), `FOREIGN_KEYS_BROKEN`, `SQLITE_BUSY`,
 * `HELD_TOO_LONG`, `NOT_APPLIED`, `CUTOVER_TOO_SLOW`, `SWITCH_FAILED`, `LOCKED`, `POSTGRES_LOST`
 */
export async function cutoverMigration(request: CutoverRequest): Promise<CutoverReport> {
  const started = performance.now();
  const client = await connectTarget(request.postgres);
  try {
    const source = LiveSource.open(request.sqlite.path);
    try {
      const entry = await cuttableEntry(client, request.schema);
      if (entry.phase !== "cut-over") assertCaptured(source, entry);
      const run = new CutoverRun(client, source, entry, request);
      await (request.run ?? runSteps)(run.steps());
      return run.report((performance.now() - started) / 1000);
    } finally {
      source.close();
    }
  } catch (cause) {
    throw serverError(cause);
  } finally {
    await client.end();
  }
}

async function cuttableEntry(client: Client, schema: string | undefined): Promise<JournalEntry> {
  const entry = await currentMigration(client);
  const isOwn = entry !== null && (schema === undefined || entry.plan.schema === schema);
  if (isOwn && ["loaded", "cutting-over", "cut-over"].includes(entry.phase)) return entry;
  throw new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message: isOwn
      ? `the migration is ${entry.phase}: there is nothing to cut over`
      : "nothing was loaded into this Postgres",
    remedy: "run lifeboat migrate load; lifeboat migrate status says what comes next",
  });
}

/** Says in the journal that a cutover is at work, so that a sync that runs lets go; then takes the lock. */
export async function claimCutover(client: Client, id: string): Promise<void> {
  const claimed = await advance(client, id, "loaded", "cutting-over");
  try {
    await takeTargetLock(client);
  } catch (cause) {
    if (claimed) await advance(client, id, "cutting-over", "loaded");
    throw cause;
  }
  // Another run may have given it back while this one waited for the lock.
  await advance(client, id, "loaded", "cutting-over");
}
