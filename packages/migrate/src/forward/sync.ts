import { setTimeout as sleep } from "node:timers/promises";
import { LifeboatError, type Report, runSteps } from "@lifeboat/core";
import type { Client } from "pg";
import { capturedFor } from "../capture/install-capture.ts";
import { LiveSource } from "../live-source.ts";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import { currentMigration, type JournalEntry } from "../target/journal.ts";
import { takeTargetLock } from "../target/lock.ts";
import { outlastOutages } from "../target/outlast-outages.ts";
import { isTakenOver } from "../target/taken-over.ts";
import { serverError } from "../target/target-error.ts";
import { TargetLink } from "../target/target-link.ts";
import type { Applied } from "./apply-changes.ts";
import { Forward } from "./forward.ts";
import { type SyncedTable, SyncTally } from "./sync-tally.ts";

/** Between two looks where the last one found nothing. */
const PAUSE_MS = 50;
/** With so few entries waiting the target counts as caught up: a cutover brings them in milliseconds. */
const FEW_ENTRIES = 500;

export interface SyncRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** Ends as soon as few changes wait; else it follows until stopped. */
  readonly until?: "caught-up";
}

export interface SyncReport {
  readonly phase: "sync";
  readonly direction: "sqlite-to-postgres";
  readonly tables: readonly SyncedTable[];
  readonly findings: readonly [];
  /** Looks that brought something. */
  readonly batches: number;
  /** Rows that were written or removed in Postgres. */
  readonly rows: number;
  /** Entries of SQLite's log that wait. */
  readonly waiting: number;
  readonly seconds: number;
}

/**
 * Follows SQLite's writes in the target, until stopped or caught up. Ends by itself when a cutover takes over. Where Postgres goes
 * away it connects again until it answers, unless it was to end when caught up.
 * @throws LifeboatError `NOT_LOADED`, `NOT_CAPTURED` (not-found), `SOURCE_CHANGED`, `SQLITE_REPLACED`, `VALUE_NOT_PLANNED`,
 * `NOT_APPLIED`, `LOCKED`, `POSTGRES_LOST`
 */
export async function syncMigration(request: SyncRequest): Promise<SyncReport> {
  const started = performance.now();
  const link = await TargetLink.open(request.postgres);
  try {
    await takeTargetLock(link.client);
    const entry = await followedEntry(link.client, request.schema);
    const source = LiveSource.open(request.sqlite.path);
    try {
      assertCaptured(source, entry);
      const tally = new SyncTally();
      let { waiting } = new Forward(source, link.client, entry, "loaded");
      const follow = async (client: Client, report: Report) => {
        // Committed or not, what was under way when a connection broke: the journal knows.
        const now = await stillFollowed(client, entry);
        if (now === null) return;
        const forward = new Forward(source, client, now, "loaded");
        await forward.begin();
        try {
          await followUntil(request, client, forward, (applied) => {
            tally.add(applied);
            report({ note: `${tally.rows} rows in ${tally.batches} batches` });
          });
        } finally {
          waiting = forward.waiting;
          await forward.end();
        }
      };
      await (request.run ?? runSteps)([
        {
          title: "follow SQLite's changes in Postgres",
          run: async (report) => {
            if (request.until !== undefined) return follow(link.client, report);
            await outlastOutages(link, { signal: request.signal, report }, (client) =>
              follow(client, report),
            );
          },
        },
      ]);
      return {
        phase: "sync",
        direction: "sqlite-to-postgres",
        tables: tally.tables,
        findings: [],
        batches: tally.batches,
        rows: tally.rows,
        waiting,
        seconds: (performance.now() - started) / 1000,
      };
    } finally {
      source.close();
    }
  } catch (cause) {
    throw serverError(cause);
  } finally {
    await link.end();
  }
}

async function followUntil(
  request: SyncRequest,
  client: Client,
  forward: Forward,
  tell: (applied: Applied) => void,
): Promise<void> {
  for (;;) {
    if (request.signal.aborted) return;
    // A cutover that waits to take over says so in the journal.
    if ((await currentMigration(client))?.phase !== "loaded") return;
    const applied = await orBrokenOff(forward.once(request.signal), request.signal);
    if (applied === "broken off") return;
    if (applied !== null) tell(applied);
    if (request.until === "caught-up" && forward.waiting < FEW_ENTRIES) return;
    if (applied !== null) continue;
    await sleep(PAUSE_MS, undefined, { signal: request.signal }).catch(() => {
      // Stopped by hand: the loop's own question ends it.
    });
  }
}

/**
 * Takes the migration's lock on a new connection, unless a cutover has it.
 * @returns null where the migration has moved on
 */
async function stillFollowed(client: Client, { id }: JournalEntry): Promise<JournalEntry | null> {
  if (!(await isFollowed(client, id))) return null;
  await takeTargetLock(client);
  return isFollowed(client, id);
}

async function isFollowed(client: Client, id: string): Promise<JournalEntry | null> {
  const now = await currentMigration(client);
  return now?.id === id && now.phase === "loaded" ? now : null;
}

/** The look that a cutover came before, or a stop, has changed nothing; whatever comes next brings what it would have. */
async function orBrokenOff<Result>(
  look: Promise<Result>,
  signal: AbortSignal,
): Promise<Result | "broken off"> {
  try {
    return await look;
  } catch (cause) {
    if (isTakenOver(cause) || (signal.aborted && cause === signal.reason)) return "broken off";
    throw cause;
  }
}

async function followedEntry(client: Client, schema: string | undefined): Promise<JournalEntry> {
  const entry = await currentMigration(client);
  const isOwn = entry !== null && (schema === undefined || entry.plan.schema === schema);
  if (isOwn && entry.phase === "loaded") return entry;
  throw new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message: isOwn
      ? `the migration is ${entry.phase}: SQLite's writes are not followed there`
      : "nothing was loaded into this Postgres",
    remedy: "lifeboat migrate status says what comes next",
  });
}

/** @throws LifeboatError `NOT_CAPTURED` (not-found) */
export function assertCaptured(source: LiveSource, entry: JournalEntry): void {
  const owner = capturedFor(source.db);
  if (owner === entry.id) return;
  throw new LifeboatError({
    code: "NOT_CAPTURED",
    kind: "not-found",
    message:
      owner === null
        ? `${source.path} does not log its writes: it was loaded while quiet, or is another file`
        : `${source.path} logs its writes for migration ${owner}, and ${entry.id} was loaded here`,
    remedy:
      "name the file that was loaded; or run lifeboat migrate abort, and load without --offline",
    details: { migration: entry.id },
  });
}
