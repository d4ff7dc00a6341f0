import type { Client } from "pg";
import { targetTables } from "../ddl.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { MigrationPlan } from "../plan.ts";
import { REFUSAL_TRIGGER } from "../reverse/refuse-target-writes.ts";
import { SESSION_NAME, SYNC_SESSION_NAME } from "../target/connect.ts";
import type { MigrationPhase } from "../target/journal.ts";

/** Rows of the log that no look of ours was made durable for are few or many; which is all that is asked. */
export async function waitingInTarget(client: Client): Promise<number | null> {
  const there = await client.query<{ found: boolean }>(
    "SELECT to_regclass('lifeboat.changes') IS NOT NULL AS found",
  );
  if (!there.rows[0]?.found) return null;
  const { rows } = await client.query<{ count: string }>(
    "SELECT count(*) AS count FROM lifeboat.changes",
  );
  return Number(rows[0]?.count);
}

/** Every verb that moves something holds the migration's lock. */
export async function isRunning(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ running: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
       WHERE l.locktype = 'advisory' AND l.granted AND a.application_name IN ('${SESSION_NAME}', '${SYNC_SESSION_NAME}')
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS running`,
  );
  return rows[0]?.running === true;
}

/** Whether any of the migrated tables refuses the product's writes, as they are, whatever the journal says. */
export async function refusesTargetWrites(client: Client, plan: MigrationPlan): Promise<boolean> {
  const relations = targetTables(plan);
  const { rows } = await client.query<{ refused: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = '${REFUSAL_TRIGGER}' AND tgenabled <> 'D'
       AND tgrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)) AS refused`,
    [relations],
  );
  return rows[0]?.refused === true;
}

/** Why Postgres refuses writes in this phase, and what ends it. */
export function targetRefuses(phase: MigrationPhase | "none"): MigrationFinding {
  const summary = REASONS[phase] ?? REASONS.loaded;
  return finding({
    id: "postgres-refuses-writes",
    severity: phase === "rolled-back" ? "info" : "warning",
    summary: `Postgres refuses the product's writes: ${summary}`,
  });
}

const REASONS: Partial<Record<MigrationPhase | "none", string>> & { readonly loaded: string } = {
  loaded:
    "a switch that failed had led it there, and what is written there now would be lost. Lead what still writes to Postgres back to SQLite; the next migrate cutover lets Postgres take writes as it switches, migrate abort at once",
  "rolling-back": "a rollback was begun. Run migrate rollback again: it ends what was begun",
  "rolled-back":
    "the product is back in SQLite. migrate finish lets Postgres take writes again, for whatever they are; with --drop-loaded it drops what was loaded",
};
