import { setTimeout as sleep } from "node:timers/promises";
import { LifeboatError, type OutageLog, type Report, runSteps } from "@lifeboat/core";
import type { Client } from "pg";
import { capturedFor } from "../capture/install-capture.ts";
import { targetTables } from "../ddl.ts";
import { LiveSource } from "../live-source.ts";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import { assertPhase } from "../target/assert-phase.ts";
import { holdersInWords, isLockTaken } from "../target/hold-tables.ts";
import { currentMigration, type JournalEntry, phaseOf } from "../target/journal.ts";
import { takeTargetLock, takeTargetLockWhile } from "../target/lock.ts";
import { outlastOutages, syncOutages } from "../target/outlast-outages.ts";
import { isGivenBack } from "../target/stand-by.ts";
import { isTakenOver } from "../target/taken-over.ts";
import { serverError } from "../target/target-error.ts";
import { TargetLink } from "../target/target-link.ts";
import type { Applied } from "./apply-changes.ts";
import { Forward } from "./forward.ts";
import { type SyncedTable, SyncTally } from "./sync-tally.ts";

/** Between two looks where the last one found nothing. */
const PAUSE_MS = 50;
/** An index that somebody builds may keep a look from its tables for longer. */
const LOCK_TIMEOUT_MS = 2_000;
/** Until the next try, so that SQLite is let go of in between. */
const LOCKED_PAUSE_MS = 500;
/** With so few entries waiting the target counts as caught up: a cutover brings them in milliseconds. */
const FEW_ENTRIES = 500;

export interface SyncRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** Ends as soon as few changes wait; else it follows until stopped. */
  readonly until?: "caught-up";
  /** Takes what belongs into a log, such as that Postgres is away. */
  readonly log?: (line: string) => void;
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
 * Follows SQLite's writes in the target, until stopped or caught up. Stands by while a cutover takes over: goes on where that is refused or
 * given back, and ends by itself once the product has moved. Where Postgres goes away it connects again until it answers, unless it was to end when caught up.
 * @throws LifeboatError `NOT_LOADED`, `NOT_CAPTURED` (not-found), `SOURCE_CHANGED`, `SQLITE_REPLACED`, `VALUE_NOT_PLANNED`,
 * `NOT_APPLIED`, `TARGET_ACTS`, `LOCKED`, `POSTGRES_LOST`
 */
export async function syncMigration(request: SyncRequest): Promise<SyncReport> {
  const started = performance.now();
  const link = await TargetLink.open(request.postgres, request.signal);
  try {
    await takeTargetLock(link.client);
    const entry = await followedEntry(link.client, request.schema);
    const source = LiveSource.open(request.sqlite.path);
    try {
      assertCaptured(source, entry);
      const tally = new SyncTally();
      const outages = syncOutages(request.log);
      let { waiting } = new Forward(source, link.client, entry, "loaded");
      const follow = async (client: Client, report: Report) => {
        // Committed or not, what was under way when a connection broke: the journal knows.
        const now = await stillFollowed(client, entry, request.signal);
        if (now === null) return;
        const forward = new Forward(source, client, now, "loaded");
        if ((await untilTakenOver(forward.begin())) === "taken over") return;
        try {
          await followUntil({ request, client, forward, entry: now, outages }, (applied) => {
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
            const { signal } = request;
            const phases = { by: "cutover", during: "cutting-over", own: "loaded" } as const;
            await outlastOutages(link, { signal, report, outages }, async (client) => {
              do await follow(client, report);
              while (await isGivenBack(client, { ...phases, id: entry.id, signal, report }));
              // Whoever has moved the product has brought what waited as this one let go.
              if (!signal.aborted) waiting = 0;
            });
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

interface Following {
  readonly request: SyncRequest;
  readonly client: Client;
  readonly forward: Forward;
  readonly entry: JournalEntry;
  readonly outages: OutageLog;
}

async function followUntil(following: Following, tell: (applied: Applied) => void): Promise<void> {
  const { request, client, forward, entry, outages } = following;
  // A look holds a snapshot of SQLite, whose WAL can't be reset meanwhile.
  await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
  for (;;) {
    if (request.signal.aborted) return;
    // A cutover that waits to take over says so in the journal.
    if ((await phaseOf(client, entry.id)) !== "loaded") return;
    const applied = await orBrokenOff(forward.once(request.signal), request.signal);
    if (applied === "taken over" || applied === "broken off") return;
    if (applied === "locked") {
      outages.failing({ reason: await lockedBy(following), meanwhile: "trying again" });
      await pause(LOCKED_PAUSE_MS, request.signal);
      continue;
    }
    outages.working();
    if (applied !== null) tell(applied);
    if (request.until === "caught-up" && forward.waiting < FEW_ENTRIES) return;
    if (applied === null) await pause(PAUSE_MS, request.signal);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {
    // Stopped by hand: the loop's own question ends it.
  });
}

async function lockedBy({ client, entry: { plan } }: Following): Promise<string> {
  const relations = targetTables(plan);
  const holders = await holdersInWords({ client, relations, mode: "SHARE ROW EXCLUSIVE" });
  return `the tables are locked in Postgres${holders === "" ? "" : ` (${holders})`}`;
}

/**
 * Takes the migration's lock on a new connection, unless a cutover has it.
 * @returns null where the migration has moved on
 */
async function stillFollowed(
  client: Client,
  { id }: JournalEntry,
  signal: AbortSignal,
): Promise<JournalEntry | null> {
  const isLoaded = async () => (await phaseOf(client, id)) === "loaded";
  if (!(await takeTargetLockWhile(client, signal, isLoaded))) return null;
  const now = await currentMigration(client);
  return now?.id === id && now.phase === "loaded" ? now : null;
}

/** A cutover may take over at any instant; what it came before has changed nothing. */
async function untilTakenOver<Result>(work: Promise<Result>): Promise<Result | "taken over"> {
  try {
    return await work;
  } catch (cause) {
    if (isTakenOver(cause)) return "taken over";
    throw cause;
  }
}

/** The look that a cutover came before, or a stop, has changed nothing; whatever comes next brings what it would have. */
async function orBrokenOff<Result>(
  look: Promise<Result>,
  signal: AbortSignal,
): Promise<Result | "taken over" | "broken off" | "locked"> {
  try {
    return await untilTakenOver(look);
  } catch (cause) {
    if (isLockTaken(cause)) return "locked";
    if (signal.aborted && cause === signal.reason) return "broken off";
    throw cause;
  }
}

async function followedEntry(client: Client, schema: string | undefined): Promise<JournalEntry> {
  return assertPhase(await currentMigration(client), schema, ["loaded"], {
    code: "NOT_LOADED",
    there: "SQLite's writes are not followed there",
    none: "nothing was loaded into this Postgres",
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
