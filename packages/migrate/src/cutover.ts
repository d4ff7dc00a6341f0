import { runSteps } from "@lifeboat/core";
import type { Client } from "pg";
import type { CutoverReport, CutoverRequest } from "./cutover/cutover-request.ts";
import { CutoverRun } from "./cutover/cutover-run.ts";
import { assertCaptured } from "./forward/sync.ts";
import { LiveSource } from "./live-source.ts";
import { assertPhase } from "./target/assert-phase.ts";
import { breakable, endConnection } from "./target/break-connection.ts";
import { connectTarget } from "./target/connect.ts";
import { currentMigration, type JournalEntry } from "./target/journal.ts";
import { serverError } from "./target/target-error.ts";

/**
 * Moves the product from SQLite to Postgres: after its backups and gates, writers wait for the milliseconds of the last
 * delta, then are refused loudly until the product's own switch has returned. Before that switch any failure, and the
 * budget, gives the product back to SQLite with nothing lost; a kill leaves what the next run ends, and one that is
 * done already changes nothing. See decision 33.
 * @throws LifeboatError `NOT_LOADED`, `NOT_CAPTURED` (not-found), `GATE_NOT_MET`, `TARGET_ACTS` (refused), `FOREIGN_KEYS_BROKEN`, `SQLITE_BUSY`,
 * `HELD_TOO_LONG`, `NOT_APPLIED`, `CUTOVER_TOO_SLOW`, `SWITCH_FAILED`, `LOCKED`, `POSTGRES_LOST`, `CUTOVER_HALF_DONE`, `CUTOVER_UNFINISHED`
 */
export async function cutoverMigration(request: CutoverRequest): Promise<CutoverReport> {
  const started = performance.now();
  const client = await connectTarget(request.postgres, request.signal);
  try {
    const source = LiveSource.open(request.sqlite.path);
    try {
      const entry = await breakable(client, request.signal, () =>
        cuttableEntry(client, request.schema),
      );
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
    await endConnection(client);
  }
}

async function cuttableEntry(client: Client, schema: string | undefined): Promise<JournalEntry> {
  const entry = await currentMigration(client);
  return assertPhase(entry, schema, ["loaded", "cutting-over", "cut-over"], {
    code: "NOT_LOADED",
    there: "there is nothing to cut over",
    none: "nothing was loaded into this Postgres",
    remedy:
      entry?.phase === "rolled-back"
        ? "lifeboat migrate finish --drop-loaded ends that move and empties Postgres; then run lifeboat migrate load again"
        : "run lifeboat migrate load; lifeboat migrate status says what comes next",
  });
}
