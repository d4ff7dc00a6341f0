import { LifeboatError, runSteps, type Step } from "@lifeboat/core";
import type { Client } from "pg";
import { assertMayDrop, assertUntouchedSince, dropLoaded } from "./drop-loaded.ts";
import { finding, type MigrationFinding } from "./finding.ts";
import { dropKeptRowids } from "./kept-rowid.ts";
import type { MigrationPlan } from "./plan.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { assertFrozenBy } from "./reverse/assert-frozen-by.ts";
import { removeReverseCapture } from "./reverse/capture.ts";
import { FollowTally } from "./reverse/follow.ts";
import { type FollowedTable, type FollowInput, followOnce } from "./reverse/follow-once.ts";
import { followPatiently } from "./reverse/follow-patiently.ts";
import { FROM_THE_START } from "./reverse/followed.ts";
import { FrozenFile } from "./reverse/frozen-file.ts";
import { removeRefusals, writersOut } from "./reverse/refuse-target-writes.ts";
import { assertPhase } from "./target/assert-phase.ts";
import { breakable, endConnection } from "./target/break-connection.ts";
import { connectTarget } from "./target/connect.ts";
import { endedOrTold } from "./target/ended-or-told.ts";
import { holdingTables } from "./target/hold-tables.ts";
import { advance, currentMigration, type JournalEntry } from "./target/journal.ts";
import { takeTargetLock } from "./target/lock.ts";
import { removeOwnSchema } from "./target/remove-own-schema.ts";
import { serverError } from "./target/target-error.ts";

const PATIENCE_SECONDS = 10;

export interface FinishRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /**
   * Gives the way back up without SQLite, which can't follow any more, or is lost: its file is not opened, and what it has refused it
   * still refuses.
   */
  readonly withoutSqlite?: boolean;
  /** After a rollback: drops the tables and views, too, that the load has made in Postgres. */
  readonly dropLoaded?: boolean;
  /** How long transactions that use the tables may take to end; 10 s when left out. */
  readonly patienceSeconds?: number;
  /** Keeps the report for good, before the target forgets the migration. Where it throws, the next run calls it again. */
  readonly onEnd?: (report: FinishReport) => Promise<void>;
}

export interface FinishReport {
  readonly phase: "finish";
  readonly id: string;
  /** Where the product lives from now on. */
  readonly live: "sqlite" | "postgres";
  readonly tables: readonly FollowedTable[];
  /** Whether what was loaded into Postgres was dropped. */
  readonly dropped: boolean;
  readonly findings: readonly MigrationFinding[];
  readonly seconds: number;
}

/**
 * Ends a migration where it stands, in Postgres or back in SQLite, and takes away all that Lifeboat made on both sides. After a
 * cutover SQLite first gets the last changes, so that the file is the whole product at that instant; from then
 * on there is no way back but a new migration. Run again, it removes what a kill left.
 * @throws LifeboatError `NOTHING_TO_FINISH` (not-found), `SQLITE_IS_LIVE`, `POSTGRES_IS_LIVE`, `LOADED_LEFT`, `LOADED_CHANGED`, `SQLITE_REPLACED` (refused), `NOT_FOLLOWABLE`, `WRITERS_BUSY`, `TABLES_IN_USE`, `LOCKED`, `POSTGRES_LOST`, `FINISH_STOPPED`
 */
export async function finishMigration(request: FinishRequest): Promise<FinishReport> {
  const started = performance.now();
  const { postgres: address, signal } = request;
  const client = await connectTarget(address, signal);
  let follower: Client | undefined;
  try {
    follower = await connectTarget(address, signal);
    await breakable(client, signal, () => takeTargetLock(client));
    const entry = await breakable(client, signal, () => finishable(client, request.schema));
    if (request.dropLoaded) assertMayDrop(entry);
    const file = fileOf(entry, request);
    try {
      const finish = new Finish(client, follower, file, entry, request, started);
      await endedOrTold({ client, follower, address, signal }, "finish", () =>
        (request.run ?? runSteps)(finish.steps()),
      );
      return finish.report();
    } finally {
      file?.close();
    }
  } catch (cause) {
    throw serverError(cause);
  } finally {
    if (follower) await endConnection(follower);
    await endConnection(client);
  }
}

async function finishable(client: Client, schema: string | undefined): Promise<JournalEntry> {
  const entry = await currentMigration(client);
  return assertPhase(entry, schema, ["cut-over", "rolled-back", "finished"], {
    code: "NOTHING_TO_FINISH",
    there: "it can't be finished there",
    none: "the target knows of no migration",
    remedy:
      entry?.phase === "rolling-back"
        ? "run lifeboat migrate rollback again, which ends what was begun"
        : "lifeboat migrate abort ends one that was not cut over",
  });
}

/** Null where it ends without SQLite. */
function fileOf(
  { id, phase }: JournalEntry,
  { sqlite, withoutSqlite, dropLoaded }: FinishRequest,
): FrozenFile | null {
  if (withoutSqlite !== true) {
    const file = FrozenFile.open(sqlite.path);
    // Of another file nothing says that the product is back in it.
    const isNeeded = phase === "cut-over" || (phase === "rolled-back" && dropLoaded === true);
    if (isNeeded) assertFrozenOrClose(file, id);
    return file;
  }
  if (phase !== "rolled-back") return null;
  throw new LifeboatError({
    code: "SQLITE_IS_LIVE",
    kind: "refused",
    message: "the product is back in SQLite, so the migration can't be finished without it",
    remedy: "run lifeboat migrate finish without --without-sqlite",
  });
}

function assertFrozenOrClose(file: FrozenFile, id: string): void {
  try {
    assertFrozenBy(file.db, id);
  } catch (cause) {
    file.close();
    throw cause;
  }
}

/** One run: the state that its steps hand on. */
class Finish {
  readonly #client: Client;
  readonly #follower: Client;
  readonly #file: FrozenFile | null;
  readonly #entry: JournalEntry;
  readonly #plan: MigrationPlan;
  readonly #signal: AbortSignal;
  readonly #patienceSeconds: number;
  readonly #dropLoaded: boolean;
  readonly #onEnd: FinishRequest["onEnd"];
  readonly #started: number;
  readonly #tally = new FollowTally();
  readonly #findings: MigrationFinding[] = [];

  constructor(
    client: Client,
    follower: Client,
    file: FrozenFile | null,
    entry: JournalEntry,
    { signal, patienceSeconds = PATIENCE_SECONDS, dropLoaded = false, onEnd }: FinishRequest,
    started: number,
  ) {
    this.#client = client;
    this.#follower = follower;
    this.#file = file;
    this.#entry = entry;
    this.#plan = entry.plan;
    this.#signal = signal;
    this.#patienceSeconds = patienceSeconds;
    this.#dropLoaded = dropLoaded;
    this.#onEnd = onEnd;
    this.#started = started;
  }

  get #live(): "sqlite" | "postgres" {
    const { phase, details } = this.#entry;
    if (phase === "finished") return details.live === "sqlite" ? "sqlite" : "postgres";
    return phase === "rolled-back" ? "sqlite" : "postgres";
  }

  steps(): Step[] {
    const file = this.#file;
    return [
      ...(file ? [{ title: "bring SQLite up to date", run: () => this.#catchUp() }] : []),
      {
        title: this.#dropLoaded
          ? "drop what was loaded into Postgres"
          : "remove the capture from Postgres",
        run: () => this.#removeFromTarget(),
      },
      ...(file
        ? [
            {
              title: "remove Lifeboat's tables and triggers from SQLite",
              run: async () => file.removeTraces(),
            },
          ]
        : []),
      {
        title: "remove schema lifeboat from Postgres",
        run: () => this.#removeJournal(),
      },
    ];
  }

  report(): FinishReport {
    return {
      phase: "finish",
      id: this.#entry.id,
      live: this.#live,
      tables: this.#tally.tables,
      dropped: this.#dropLoaded || this.#entry.details.dropped === true,
      findings: this.#findings,
      seconds: (performance.now() - this.#started) / 1000,
    };
  }

  async #catchUp(): Promise<void> {
    if (this.#entry.phase !== "cut-over") return;
    await this.#follow((input) => followPatiently(input, this.#patienceSeconds));
  }

  async #follow(look: (input: FollowInput) => Promise<FollowedTable[]>): Promise<void> {
    if (this.#file === null) return;
    const [client, file, plan, signal] = [this.#follower, this.#file, this.#plan, this.#signal];
    this.#tally.add(await look({ client, file, plan, signal }));
  }

  /**
   * The tables are held still while the last changes go over, so that none falls between the two. Readers are let in until the
   * end, when taking triggers and columns away needs a moment without them too.
   *
   * A TRUNCATE or ALTER that was sent meanwhile waits for what is held, and the follower's own connection behind it: nobody but
   * we can see that circle. So the follower gives up soon, what is held is let go of, and all of it begins anew.
   */
  async #removeFromTarget(): Promise<void> {
    const { phase, id } = this.#entry;
    if (phase === "finished") return;
    const client = this.#client;
    const lock = {
      client,
      plan: this.#plan,
      patienceSeconds: this.#patienceSeconds,
      signal: this.#signal,
    };
    await holdingTables(writersOut(lock), async () => {
      if (phase === "cut-over") await this.#follow(followOnce);
      if (this.#dropLoaded) await this.#assertUntouched();
      await removeReverseCapture(client, this.#plan);
      await removeRefusals(client, this.#plan);
      if (this.#dropLoaded) await dropLoaded(client, this.#plan);
      else await dropKeptRowids(client, this.#plan);
      await advance(client, id, phase, "finished", {
        live: this.#live,
        dropped: this.#dropLoaded,
      });
    });
    await client.query("COMMIT");
  }

  async #assertUntouched(): Promise<void> {
    const followed = this.#file?.followed().snapshot ?? FROM_THE_START;
    await assertUntouchedSince(this.#client, this.#plan, followed);
  }

  /** A run that finds no journal finds nothing to finish, so it goes once the report is kept. */
  async #removeJournal(): Promise<void> {
    await this.#client.query("BEGIN");
    this.#findings.push(...(await removeOwnSchema(this.#client)));
    if (this.#file === null) this.#findings.push(sqliteLeft());
    await this.#onEnd?.(this.report());
    await this.#client.query("COMMIT");
  }
}

function sqliteLeft(): MigrationFinding {
  return finding({
    id: "sqlite-left",
    severity: "warning",
    summary:
      "the SQLite file was left as it is: it lacks what Postgres took since it was last followed, and still refuses writes. Keep it as a record, or remove it",
  });
}
