import type { Client } from "pg";
import type { LogEntry } from "../capture/change-log.ts";
import type { Catalog } from "../compare/read-catalog.ts";
import type { MigrationPlan } from "../plan.ts";
import { quoteText } from "../quote.ts";
import { assertOwnJournal } from "./assert-own-journal.ts";

/** Where a migration stands; what is between two of them ends in either when it is run again. */
export const MIGRATION_PHASES = [
  "loading",
  "loaded",
  "cutting-over",
  "cut-over",
  "rolling-back",
  "rolled-back",
  "finished",
  "aborted",
] as const;
export type MigrationPhase = (typeof MIGRATION_PHASES)[number];

/** What the target knows of its own migration. Lies in schema `lifeboat`, apart from the product's tables. */
export interface JournalEntry {
  readonly id: string;
  readonly phase: MigrationPhase;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly plan: MigrationPlan;
  /** The target as the load left it; null until then. */
  readonly catalog: Catalog | null;
  /** What the steps since noted. */
  readonly details: Readonly<Record<string, unknown>>;
}

const TABLE = "lifeboat.migrations";

/** Creates the journal where it is missing. */
export async function prepareJournal(client: Client): Promise<void> {
  await assertOwnJournal(client);
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS lifeboat;
    CREATE TABLE IF NOT EXISTS ${TABLE} (
      id text PRIMARY KEY,
      phase text NOT NULL CHECK (phase IN (${MIGRATION_PHASES.map(quoteText).join(", ")})),
      started_at timestamptz NOT NULL DEFAULT now(),
      finished_at timestamptz,
      plan json NOT NULL,
      catalog json,
      details json NOT NULL DEFAULT '{}'
    )`);
}

/** Writes that a load has begun. Committed by itself, so that a killed load leaves its trace. */
export async function openEntry(client: Client, id: string, plan: MigrationPlan): Promise<void> {
  await client.query(`DELETE FROM ${TABLE} WHERE phase = 'loading'`);
  await client.query(`INSERT INTO ${TABLE} (id, phase, plan) VALUES ($1, 'loading', $2)`, [
    id,
    JSON.stringify(plan),
  ]);
}

/** Writes that the load is done; in the load's own transaction, so that both are true together. */
export async function closeEntry(
  client: Client,
  id: string,
  catalog: Catalog,
  details: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await client.query(
    `UPDATE ${TABLE} SET phase = 'loaded', finished_at = clock_timestamp(), catalog = $2, details = $3 WHERE id = $1`,
    [id, JSON.stringify(catalog), JSON.stringify(details)],
  );
}

/** Writes that nothing is left to do of a load, and that whoever ran it knows; a sync or cutover may have gone on meanwhile. */
export async function noteEnded(client: Client, id: string): Promise<void> {
  await note(client, id, MIGRATION_PHASES, { ended: true });
}

/**
 * Moves a migration from one phase to the next in the caller's transaction.
 * @returns false where it was in another phase: somebody else moved it
 */
export async function advance(
  client: Client,
  id: string,
  from: MigrationPhase,
  to: MigrationPhase,
  details: Readonly<Record<string, unknown>> = {},
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE ${TABLE} SET phase = $3, details = (details::jsonb || $4::jsonb)::json WHERE id = $1 AND phase = $2`,
    [id, from, to, JSON.stringify(details)],
  );
  return rowCount === 1;
}

/** Says whose the migration is, by the session that holds its lock: another run that could not get that leaves the journal to it. */
export async function claim(
  client: Client,
  id: string,
  phases: readonly MigrationPhase[],
): Promise<void> {
  await client.query(
    `UPDATE ${TABLE} SET details = (details::jsonb || jsonb_build_object('claimedBy', pg_backend_pid()))::json WHERE id = $1 AND phase = ANY ($2)`,
    [id, phases],
  );
}

/** Moves it back to an earlier phase, unless the session that holds its lock has claimed it. */
export async function unclaim(
  client: Client,
  id: string,
  { from, to, holder }: { from: MigrationPhase; to: MigrationPhase; holder: number | null },
): Promise<void> {
  await client.query(
    `UPDATE ${TABLE} SET phase = $3 WHERE id = $1 AND phase = $2 AND (details->>'claimedBy')::integer IS DISTINCT FROM $4::integer`,
    [id, from, to, holder ?? 0],
  );
}

/**
 * Notes in the caller's transaction what the target holds since, as long as the migration is in one of these phases.
 * @returns false where somebody else moved it on
 */
export async function note(
  client: Client,
  id: string,
  phases: readonly MigrationPhase[],
  details: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE ${TABLE} SET details = (details::jsonb || $3::jsonb)::json WHERE id = $1 AND phase = ANY ($2)`,
    [id, phases, JSON.stringify(details)],
  );
  return rowCount === 1;
}

/** The phase of a migration, as often as one likes: without its plan, which may be long; null where the journal is gone. */
export async function phaseOf(client: Client, id: string): Promise<MigrationPhase | null> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('${TABLE}') IS NOT NULL AS there`,
  );
  return rows[0]?.there ? ((await standingOf(client, id))?.phase ?? null) : null;
}

/** Where a migration stands, and how much of SQLite's log the target holds; null where the journal has lost it. */
export async function standingOf(
  client: Client,
  id: string,
): Promise<{ readonly phase: MigrationPhase; readonly watermark: bigint } | null> {
  const { rows } = await client.query<{ phase: MigrationPhase; watermark: string | null }>(
    `SELECT phase, details->>'watermark' AS watermark FROM ${TABLE} WHERE id = $1`,
    [id],
  );
  const [row] = rows;
  return row ? { phase: row.phase, watermark: BigInt(row.watermark ?? 0) } : null;
}

/**
 * Notes when both sides were last found equal, or by null that they are not.
 * @returns false where the migration is in another phase by now
 */
export async function noteVerified(
  client: Client,
  { id, phase }: JournalEntry,
  verifiedAt: string | null,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE ${TABLE} SET details = (details::jsonb - 'verifiedAt' || $3::jsonb)::json WHERE id = $1 AND phase = $2`,
    [id, phase, JSON.stringify(verifiedAt === null ? {} : { verifiedAt })],
  );
  return rowCount === 1;
}

/** The last entry of SQLite's log that the target holds. */
export function watermarkOf({ details }: JournalEntry): bigint {
  return BigInt(String(details.watermark ?? 0));
}

/** What that entry was; null where the journal does not say so. */
export function lastEntryOf(entry: JournalEntry): LogEntry | null {
  const last = entry.details.lastEntry as LogEntry | null | undefined;
  return last?.seq === String(watermarkOf(entry)) ? last : null;
}

/** The migration that the target is in, or null where there is none. */
export const currentMigration = newestEntry;

/**
 * The newest entry, or null where nothing was ever loaded.
 * @throws LifeboatError `JOURNAL_FOREIGN` (refused)
 */
export async function newestEntry(client: Client): Promise<JournalEntry | null> {
  await assertOwnJournal(client);
  const present = await client.query<{ found: boolean }>(
    `SELECT to_regclass('${TABLE}') IS NOT NULL AS found`,
  );
  if (!present.rows[0]?.found) return null;
  const { rows } = await client.query<{
    id: string;
    phase: JournalEntry["phase"];
    started_at: Date;
    finished_at: Date | null;
    plan: MigrationPlan;
    catalog: Catalog | null;
    details: Record<string, unknown>;
  }>(`SELECT * FROM ${TABLE} ORDER BY started_at DESC, id DESC LIMIT 1`);
  const [row] = rows;
  if (!row) return null;
  return {
    id: row.id,
    phase: row.phase,
    startedAt: row.started_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
    plan: row.plan,
    catalog: row.catalog,
    details: row.details,
  };
}
