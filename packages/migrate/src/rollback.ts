import { type Report, runSteps, type Step } from "@lifeboat/core";
import type { Client } from "pg";
import { comeClose } from "./come-close.ts";
import type { MigrationFinding } from "./finding.ts";
import type { MigrationPlan } from "./plan.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { countChanges } from "./reverse/change-reader.ts";
import { claimRollback } from "./reverse/claim-rollback.ts";
import { FollowTally } from "./reverse/follow.ts";
import type { FollowedTable } from "./reverse/follow-once.ts";
import { followPatiently } from "./reverse/follow-patiently.ts";
import { FrozenFile } from "./reverse/frozen-file.ts";
import { outwaitReaders } from "./reverse/outwait-readers.ts";
import { allowTargetWrites, refuseTargetWrites } from "./reverse/refuse-target-writes.ts";
import {
  halfDone,
  notFollowed,
  switchFailed,
  tooSlow,
  unfinished,
} from "./reverse/rollback-failures.ts";
import { unfedIndexes } from "./reverse/unfed-indexes.ts";
import { breakable, endConnection, isBroken } from "./target/break-connection.ts";
import { connectTarget } from "./target/connect.ts";
import { advance, type JournalEntry, note } from "./target/journal.ts";
import { movedAtOf } from "./target/moved-at.ts";
import { standIn } from "./target/stand-in.ts";
import { takenOver } from "./target/taken-over.ts";
import { serverError } from "./target/target-error.ts";
import { withinBudget } from "./target/within-budget.ts";

/** How long the product may be without a database that takes its writes, unless said otherwise. */
const DEFAULT_BUDGET_SECONDS = 10;
/** Fewer rows than this are brought over within the freeze. */
const SMALL_BATCH = 500;

export interface RollbackRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** Seconds in which SQLite must take writes again after Postgres refuses them; else Postgres takes them again. */
  readonly budgetSeconds?: number;
  /** The product's own switch back to SQLite. */
  readonly onRollback?: (signal: AbortSignal) => Promise<void>;
}

export interface RollbackReport {
  readonly phase: "rollback";
  readonly id: string;
  readonly tables: readonly FollowedTable[];
  readonly findings: readonly MigrationFinding[];
  /** Rows that were written or removed in SQLite. */
  readonly rows: number;
  /** From asking for the lock of Postgres' tables to the commit of the refusals; 0 where an earlier run had frozen them. */
  readonly holdSeconds: number;
  /** The instant at which SQLite began to take the product's writes and Postgres took none any more; ISO 8601 UTC. */
  readonly movedAt: string;
  /** From there until SQLite took writes and the product's switch returned. */
  readonly switchSeconds: number;
  readonly seconds: number;
}

/**
 * Takes the product back to SQLite and loses nothing: Postgres refuses writes, its last changes are brought over and
 * SQLite takes writes again. Before that last commit any failure gives the product back to Postgres; a kill leaves
 * what the next run ends; one that is done already changes nothing. See decision 37.
 * @throws LifeboatError `NOT_CUT_OVER` (not-found), `WRITERS_BUSY`, `TABLES_IN_USE`, `NOT_FOLLOWABLE`, `SQLITE_REPLACED` (refused), `ROLLBACK_TOO_SLOW`,
 * `SWITCH_FAILED`, `LOCKED`, `POSTGRES_LOST`, `ROLLBACK_HALF_DONE`, `ROLLBACK_UNFINISHED`
 */
export async function rollbackMigration(request: RollbackRequest): Promise<RollbackReport> {
  const started = performance.now();
  const client = await connectTarget(request.postgres, request.signal);
  try {
    const file = FrozenFile.open(request.sqlite.path);
    try {
      const entry = await claimRollback(client, file, request);
      const rollback = new Rollback(client, file, entry, request);
      await (request.run ?? runSteps)(rollback.steps());
      return rollback.report((performance.now() - started) / 1000);
    } finally {
      file.close();
    }
  } catch (cause) {
    throw serverError(cause);
  } finally {
    await endConnection(client);
  }
}

/** One run of a rollback: the state that its steps hand on. */
class Rollback {
  readonly #client: Client;
  readonly #file: FrozenFile;
  readonly #plan: MigrationPlan;
  readonly #id: string;
  readonly #request: RollbackRequest;
  readonly #tally = new FollowTally();
  /** An earlier run got as far as SQLite's taking writes: then there is no way but on. */
  readonly #isPast: boolean;
  readonly #isDone: boolean;
  #movedAt: string;
  #holdSeconds = 0;
  #frozenAt = 0;
  #switchSeconds = 0;

  constructor(client: Client, file: FrozenFile, entry: JournalEntry, request: RollbackRequest) {
    this.#client = client;
    this.#file = file;
    this.#plan = entry.plan;
    this.#id = entry.id;
    this.#request = request;
    this.#movedAt = movedAtOf(entry);
    this.#isDone = entry.phase === "rolled-back";
    this.#isPast = this.#isDone || (entry.phase === "rolling-back" && !file.refusesWrites());
  }

  steps(): Step[] {
    return [
      {
        title: "bring SQLite close",
        run: (report) => this.#orBack((signal) => this.#comeClose(report, signal)),
      },
      {
        title: "refuse writes in Postgres",
        run: () => this.#orBack((signal) => this.#freeze(signal)),
      },
      {
        title: "bring the last changes to SQLite",
        run: () => this.#orBack((signal) => this.#lastChanges(signal)),
      },
      { title: "let SQLite take writes", run: () => this.#orBack(() => this.#allow()) },
      { title: "switch the product to SQLite", run: () => this.#switch() },
      { title: "close the journal", run: () => this.#close() },
    ];
  }

  report(seconds: number): RollbackReport {
    return {
      phase: "rollback",
      id: this.#id,
      tables: this.#tally.tables,
      findings: unfedIndexes(this.#file.schema),
      rows: this.#tally.rows,
      holdSeconds: this.#holdSeconds,
      movedAt: this.#movedAt,
      switchSeconds: this.#switchSeconds,
      seconds,
    };
  }

  /** Does a step that may still be taken back, and takes all of it back where it fails or takes too long. */
  async #orBack(step: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#isPast) return;
    try {
      const signal = this.#signal();
      await breakable(this.#client, signal, () => step(signal));
    } catch (cause) {
      await this.#giveBack().catch((failure: unknown) => {
        throw halfDone(cause, failure, this.#frozenAt > 0);
      });
      const isLate = (cause as Error | undefined)?.name === "TimeoutError";
      throw isLate ? tooSlow(this.#budget(), cause) : cause;
    }
  }

  /** The connection may be what broke; the product must get its database back. */
  async #giveBack(): Promise<void> {
    this.#file.rollback();
    const { postgres: address, signal } = this.#request;
    await standIn({ client: this.#client, address, signal }, async (client) => {
      await allowTargetWrites(client, this.#plan);
      await advance(client, this.#id, "rolling-back", "cut-over");
    });
  }

  #budget(): number {
    return this.#request.budgetSeconds ?? DEFAULT_BUDGET_SECONDS;
  }

  /** The user's own, and the budget's once Postgres refuses writes. */
  #signal(): AbortSignal {
    if (this.#frozenAt === 0) return this.#request.signal;
    const left = this.#budget() * 1000 - (performance.now() - this.#frozenAt);
    return withinBudget(this.#request.signal, left);
  }

  async #comeClose(report: Report, signal: AbortSignal): Promise<void> {
    await outwaitReaders(this.#file, report, signal);
    await comeClose(SMALL_BATCH, async () => {
      const rows = await this.#follow(signal);
      report({ note: `${this.#tally.rows} rows` });
      return rows;
    });
  }

  async #freeze(signal: AbortSignal): Promise<void> {
    this.#holdSeconds = await refuseTargetWrites({
      client: this.#client,
      plan: this.#plan,
      patienceSeconds: this.#budget(),
      signal,
    });
    this.#frozenAt = performance.now();
  }

  async #lastChanges(signal: AbortSignal): Promise<void> {
    await this.#follow(signal);
    const left = await countChanges(this.#client, this.#file.followed().snapshot);
    if (left === 0) return;
    throw notFollowed(left);
  }

  async #follow(signal: AbortSignal): Promise<number> {
    const { tally, ...input } = {
      tally: this.#tally,
      client: this.#client,
      file: this.#file,
      plan: this.#plan,
      signal,
    };
    const before = tally.rows;
    tally.add(await followPatiently(input, this.#budget()));
    signal.throwIfAborted();
    return tally.rows - before;
  }

  async #allow(): Promise<void> {
    this.#signal().throwIfAborted();
    this.#movedAt = new Date().toISOString();
    if (!(await note(this.#client, this.#id, ["rolling-back"], { movedAt: this.#movedAt })))
      throw takenOver();
    this.#file.allowWrites();
  }

  async #switch(): Promise<void> {
    if (this.#isDone) return;
    try {
      await this.#request.onRollback?.(this.#request.signal);
    } catch (cause) {
      throw switchFailed(cause);
    }
    if (this.#frozenAt > 0) this.#switchSeconds = (performance.now() - this.#frozenAt) / 1000;
  }

  async #close(): Promise<void> {
    try {
      await breakable(this.#client, this.#request.signal, async () => {
        await advance(this.#client, this.#id, "rolling-back", "rolled-back", {
          rolledBackAt: new Date().toISOString(),
          holdSeconds: this.#holdSeconds,
          switchSeconds: this.#switchSeconds,
        });
      });
    } catch (cause) {
      throw isBroken(this.#client) ? unfinished(cause) : cause;
    }
  }
}
