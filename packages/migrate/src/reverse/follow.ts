import { setTimeout as sleep } from "node:timers/promises";
import { type OutageLog, type Report, runSteps } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { Client } from "pg";
import { targetTables } from "../ddl.ts";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import { assertPhase } from "../target/assert-phase.ts";
import { holdersInWords, isLockTaken } from "../target/hold-tables.ts";
import { currentMigration, type JournalEntry, phaseOf } from "../target/journal.ts";
import { takeTargetLock, takeTargetLockWhile } from "../target/lock.ts";
import { outlastOutages, syncOutages } from "../target/outlast-outages.ts";
import { isGivenBack } from "../target/stand-by.ts";
import { serverError } from "../target/target-error.ts";
import { TargetLink } from "../target/target-link.ts";
import { assertFrozenBy } from "./assert-frozen-by.ts";
import { type FollowedTable, type FollowInput, followOnce } from "./follow-once.ts";
import { FrozenFile } from "./frozen-file.ts";

/** Between two looks where the last one found nothing. */
const PAUSE_MS = 200;
/** For a sync that goes on somebody else's lock of SQLite is no end: it tries again, and hears of a stop in between. */
const BUSY_MS = 1_000;
/** Between two looks at Postgres' whole schema while nothing is written. */
const SCHEMA_PAUSE_MS = 5_000;

export interface FollowRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** Ends as soon as SQLite holds what Postgres held at the last look; else it follows until stopped. */
  readonly until?: "caught-up";
  /**
   * Begins with all of Postgres' tables as they are, so that the way back is whole again where Postgres or the SQLite file was restored to an
   * earlier state. What SQLite held and Postgres lost is gone then.
   */
  readonly anew?: boolean;
  /** Takes what belongs into a log, such as that Postgres is away. */
  readonly log?: (line: string) => void;
}

export interface FollowReport {
  readonly phase: "sync";
  readonly direction: "postgres-to-sqlite";
  readonly tables: readonly FollowedTable[];
  readonly findings: readonly [];
  /** Batches that brought something. */
  readonly batches: number;
  /** Rows that were written or removed in SQLite. */
  readonly rows: number;
  readonly seconds: number;
}

/**
 * Brings Postgres' changes since the cutover back to the frozen SQLite file, until stopped or caught up, so that a
 * rollback loses nothing. Stands by while a rollback takes over: goes on where that is refused or given back, and ends by itself once the
 * product is back in SQLite. Where somebody holds SQLite's lock, or keeps a table from being read in Postgres, it tries again; where Postgres goes away it connects again until it answers, unless it was to end when caught up.
 * @throws LifeboatError `NOT_CUT_OVER` (not-found), `NOT_FOLLOWABLE`, `SQLITE_REPLACED`, `LOCKED`, `POSTGRES_LOST`
 */
export async function followReverse(request: FollowRequest): Promise<FollowReport> {
  const started = performance.now();
  const link = await TargetLink.open(request.postgres, request.signal);
  try {
    await takeTargetLock(link.client);
    const entry = await cutOverEntry(link.client, request.schema);
    const isEndless = request.until === undefined;
    const file = FrozenFile.open(request.sqlite.path, isEndless ? BUSY_MS : undefined);
    try {
      assertFrozenBy(file.db, entry.id);
      const found = new FollowTally();
      const outages = syncOutages(request.log);
      const first = { isAnew: request.anew === true };
      const follow = async (client: Client, report: Report) => {
        const isCutOver = async () => (await phaseOf(client, entry.id)) === "cut-over";
        if (!(await takeTargetLockWhile(client, request.signal, isCutOver))) return;
        const input = { client, file, plan: entry.plan, signal: request.signal };
        await followUntil(request, { ...input, isCutOver, outages, first }, (tables) => {
          found.add(tables);
          report({ note: `${found.rows} rows in ${found.batches} batches` });
        });
      };
      const run = request.run ?? runSteps;
      await run([
        {
          title: "follow Postgres' changes in SQLite",
          run: async (report) => {
            if (!isEndless) return follow(link.client, report);
            const { signal } = request;
            const phases = { by: "rollback", during: "rolling-back", own: "cut-over" } as const;
            await outlastOutages(link, { signal, report, outages }, async (client) => {
              do await follow(client, report);
              while (await isGivenBack(client, { ...phases, id: entry.id, signal, report }));
            });
          },
        },
      ]);
      return found.report((performance.now() - started) / 1000);
    } finally {
      file.close();
    }
  } catch (cause) {
    throw serverError(cause);
  } finally {
    await link.end();
  }
}

interface Following extends FollowInput {
  readonly isCutOver: () => Promise<boolean>;
  readonly outages: OutageLog;
  /** Of the batch that comes first, over all connections. */
  readonly first: { isAnew: boolean };
}

async function followUntil(
  request: FollowRequest,
  { isCutOver, outages, first, ...input }: Following,
  tell: (tables: readonly FollowedTable[]) => void,
): Promise<void> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  while (!request.signal.aborted) {
    // Changes are looked for often; whether Postgres' schema is still the one that SQLite has, less.
    const isDue = performance.now() - lookedAt > SCHEMA_PAUSE_MS;
    if (isDue) lookedAt = performance.now();
    const tables = await orBrokenOff(
      followOnce({ ...input, isIdleChecked: isDue, ...first }),
      request,
    );
    if (tables === "stopped") return;
    if (tables === "busy")
      outages.failing({ reason: "another process holds SQLite's lock", meanwhile: "trying again" });
    else if (tables === "locked")
      outages.failing({ reason: await lockedBy(input), meanwhile: "trying again" });
    else {
      outages.working();
      first.isAnew = false;
      tell(tables);
    }
    // A rollback that waits to take over says so in the journal.
    if (!(await isCutOver())) return;
    const isWaiting = tables === "busy" || tables === "locked";
    if (!isWaiting && tables.length > 0) continue;
    if (!isWaiting && request.until === "caught-up") return;
    await sleep(PAUSE_MS, undefined, { signal: request.signal }).catch(() => {
      // Stopped by hand: the loop's own question ends it.
    });
  }
}

/** The batch that a stop broke off, or that did not get a lock on either side, has changed nothing. */
async function orBrokenOff<Result>(
  batch: Promise<Result>,
  { signal, until }: FollowRequest,
): Promise<Result | "stopped" | "busy" | "locked"> {
  try {
    return await batch;
  } catch (cause) {
    if (signal.aborted && cause === signal.reason) return "stopped";
    if (until === undefined && isBusy(cause)) return "busy";
    if (isLockTaken(cause)) return "locked";
    throw cause;
  }
}

async function lockedBy({ client, plan }: FollowInput): Promise<string> {
  const relations = targetTables(plan);
  const holders = await holdersInWords({ client, relations, mode: "ACCESS SHARE" });
  return `a table can't be read in Postgres${holders === "" ? "" : ` (${holders})`}`;
}

function isBusy(cause: unknown): boolean {
  return cause instanceof SqliteError && cause.code.startsWith("SQLITE_BUSY");
}

async function cutOverEntry(client: Client, schema: string | undefined): Promise<JournalEntry> {
  return assertPhase(await currentMigration(client), schema, ["cut-over"], {
    code: "NOT_CUT_OVER",
    there: "Postgres is not what the product writes to",
    none: "nothing was cut over to this Postgres",
    remedy: "lifeboat migrate status says what comes next",
  });
}

/** What several batches brought, summed up by table. */
export class FollowTally {
  batches = 0;
  rows = 0;
  readonly #tables = new Map<string, FollowedTable>();

  add(tables: readonly FollowedTable[]): void {
    if (tables.length > 0) this.batches++;
    for (const one of tables) {
      const before = this.#tables.get(one.name);
      this.rows += one.written + one.removed;
      this.#tables.set(one.name, {
        name: one.name,
        changes: one.changes + (before?.changes ?? 0),
        written: one.written + (before?.written ?? 0),
        removed: one.removed + (before?.removed ?? 0),
      });
    }
  }

  get tables(): readonly FollowedTable[] {
    return [...this.#tables.values()];
  }

  report(seconds: number): FollowReport {
    const { tables, batches, rows } = this;
    return {
      phase: "sync",
      direction: "postgres-to-sqlite",
      tables,
      findings: [],
      batches,
      rows,
      seconds,
    };
  }
}
