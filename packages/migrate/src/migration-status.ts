import { existsSync } from "node:fs";
import type { Client } from "pg";
import { waitingChanges } from "./capture/change-log.ts";
import { capturedFor } from "./capture/install-capture.ts";
import type { MigrationFinding } from "./finding.ts";
import { finding } from "./finding.ts";
import { type Refusal, refusalOf } from "./freeze.ts";
import { LiveSource } from "./live-source.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import {
  isRunning,
  refusesTargetWrites,
  targetRefuses,
  waitingInTarget,
} from "./status/target-side.ts";
import { wayBackFaultOf, wayBackLost } from "./status/way-back-fault.ts";
import { askTarget } from "./target/ask-target.ts";
import {
  currentMigration,
  type JournalEntry,
  type MigrationPhase,
  watermarkOf,
} from "./target/journal.ts";
import { serverError } from "./target/target-error.ts";

export interface StatusRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
}

export interface MigrationStatus {
  readonly phase: MigrationPhase | "none";
  readonly id: string | null;
  readonly schema: string | null;
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
  readonly findings: readonly MigrationFinding[];
  readonly startedAt: string | null;
  readonly loadedAt: string | null;
  /** When both sides were last found equal. */
  readonly verifiedAt: string | null;
  /** The last change that a sync brought to Postgres. */
  readonly appliedAt: string | null;
  readonly cutOverAt: string | null;
  /** Whether SQLite logs the product's writes for this migration, and whether it refuses them. */
  readonly captured: boolean;
  readonly refused: boolean;
  /** When SQLite takes them again by itself; null where it refuses none, or for good. */
  readonly refusedUntil: string | null;
  /** Whether Postgres refuses the product's writes: after a rollback, or a cutover whose switch failed. */
  readonly targetRefused: boolean;
  /** Entries of SQLite's log that Postgres does not hold yet; after the cutover, changes of Postgres that SQLite does not. */
  readonly waiting: number | null;
  readonly isRunning: boolean;
  /** The verb that comes next, and why. */
  readonly next: string;
}

/**
 * Where a migration stands. Changes nothing on either side.
 * @throws LifeboatError `POSTGRES_UNREACHABLE`
 */
export async function migrationStatus(request: StatusRequest): Promise<MigrationStatus> {
  try {
    return await askTarget(request.postgres, request.signal, async (client) => {
      const entry = await currentMigration(client);
      const isOwn = entry !== null && (request.schema ?? entry.plan.schema) === entry.plan.schema;
      return statusOf(client, isOwn ? entry : null, request, isOwn ? null : entry);
    });
  } catch (cause) {
    throw serverError(cause);
  }
}

/** @param elsewhere the target's migration where it went into another schema than the configuration's */
async function statusOf(
  client: Client,
  entry: JournalEntry | null,
  request: StatusRequest,
  elsewhere: JournalEntry | null,
): Promise<MigrationStatus> {
  const side = sourceSide(request.sqlite.path, entry, elsewhere);
  const text = (name: string) => {
    const value = entry?.details[name];
    return typeof value === "string" ? value : null;
  };
  const phase = entry?.phase ?? "none";
  const targetRefused = entry !== null && (await refusesTargetWrites(client, entry.plan));
  const lost = phase === "cut-over" && entry ? await wayBack(client, entry, request) : [];
  return {
    phase,
    id: entry?.id ?? null,
    schema: entry?.plan.schema ?? null,
    tables: (entry?.plan.tables ?? []).map(({ name, rows }) => ({ name, rows })),
    findings: [...side.findings, ...(targetRefused ? [targetRefuses(phase)] : []), ...lost],
    startedAt: entry?.startedAt ?? null,
    loadedAt: entry?.finishedAt ?? null,
    verifiedAt: text("verifiedAt"),
    appliedAt: text("appliedAt"),
    cutOverAt: text("cutOverAt"),
    captured: side.captured,
    refused: side.refusal?.isOver === false,
    refusedUntil:
      side.refusal?.isOver === false && side.refusal.until !== null
        ? new Date(side.refusal.until).toISOString()
        : null,
    targetRefused,
    waiting: phase === "cut-over" ? await waitingInTarget(client) : side.waiting,
    isRunning: await isRunning(client),
    next: nextStep(phase, side, entry?.details.switching === true),
  };
}

async function wayBack(
  client: Client,
  entry: JournalEntry,
  { sqlite }: StatusRequest,
): Promise<MigrationFinding[]> {
  const fault = await wayBackFaultOf(client, entry, sqlite.path);
  if (fault === null) return [];
  const { id, severity, summary, remedy } = wayBackLost(fault);
  return [finding({ id, severity, summary: `${summary}. ${remedy}` })];
}

interface SourceSide {
  readonly captured: boolean;
  readonly refusal: Refusal | null;
  readonly waiting: number | null;
  readonly findings: readonly MigrationFinding[];
}

function sourceSide(
  path: string,
  entry: JournalEntry | null,
  elsewhere: JournalEntry | null,
): SourceSide {
  const nothing = { captured: false, refusal: null, waiting: null };
  if (!existsSync(path))
    return {
      ...nothing,
      findings: [
        finding({
          id: "sqlite-missing",
          severity: "error",
          summary: `there is no SQLite database at ${path}`,
        }),
      ],
    };
  const source = LiveSource.open(path);
  try {
    const owner = capturedFor(source.db);
    if (owner === null) return { ...nothing, findings: [] };
    const refusal = refusalOf(source.db);
    if (owner !== entry?.id) {
      const summary = heldByAnother(owner, refusal, elsewhere);
      return {
        ...nothing,
        refusal,
        findings: [finding({ id: "captured-by-another", severity: "error", summary })],
      };
    }
    const waiting = waitingChanges(source.db, watermarkOf(entry));
    return { captured: true, refusal, waiting, findings: [] };
  } finally {
    source.close();
  }
}

/** Where SQLite refuses writes for good, the product was moved: an abort would make a second truth of the file. */
function heldByAnother(
  owner: string,
  refusal: Refusal | null,
  elsewhere: JournalEntry | null,
): string {
  const held = `the SQLite database is held by migration ${owner}, which`;
  if (elsewhere?.id === owner)
    return `${held} went into schema ${elsewhere.plan.schema} of this target: set migrate.schema to that`;
  if (refusal?.until === null)
    return `${held} cut the product over to another Postgres than this one: set postgres.url to the one that the product lives in, unless it was finished without this file`;
  return `${held} this target does not know: name its target in postgres.url, or give it up by lifeboat migrate abort`;
}

function nextStep(
  phase: MigrationStatus["phase"],
  { captured, refusal, findings }: SourceSide,
  isSwitching: boolean,
): string {
  const isHeldElsewhere = findings.length > 0;
  switch (phase) {
    case "none":
    case "aborted":
      if (isHeldElsewhere) return "migrate status again once the configuration is set right";
      return "migrate load: nothing is loaded yet";
    case "loading":
      return "migrate load: a load is at work, or was broken off and is run again";
    case "loaded":
      return captured
        ? "migrate verify, then migrate cutover; migrate sync follows what is written meanwhile"
        : "migrate verify: SQLite was loaded while quiet, and what is written there now is not followed";
    case "cutting-over":
      if (refusal === null) return "migrate cutover again, or migrate abort: nothing is frozen";
      if (refusal.until !== null)
        return refusal.isOver
          ? "migrate cutover again, or migrate abort: it was broken off, and SQLite takes the product's writes again"
          : "migrate cutover again, or migrate abort: SQLite REFUSES the product's writes for a moment more";
      if (isSwitching)
        return "migrate cutover again: it was broken off while the product was switched, and SQLite REFUSES its writes";
      return "migrate cutover again, or migrate abort: SQLite REFUSES the product's writes";
    case "cut-over":
      return "migrate sync brings Postgres' changes back, migrate verify compares both sides; migrate rollback leads back, migrate finish ends it";
    case "rolling-back":
      return "migrate rollback again: it was broken off";
    case "rolled-back":
      return "migrate finish: the product is back in SQLite; with --drop-loaded the target is empty for another load";
    case "finished":
      return "nothing: the migration is finished";
  }
}
