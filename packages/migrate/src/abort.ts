import { existsSync } from "node:fs";
import { LifeboatError, runSteps, type Step } from "@lifeboat/core";
import type { Client } from "pg";
import { capturedFor } from "./capture/install-capture.ts";
import { giveBack } from "./cutover/give-back.ts";
import { isLeftFrozen } from "./cutover/stage.ts";
import { qualified } from "./ddl.ts";
import { dropLoaded } from "./drop-loaded.ts";
import type { MigrationFinding } from "./finding.ts";
import { bringForeignKeysBack } from "./forward/foreign-keys.ts";
import { refusalOf, removeTraces } from "./freeze.ts";
import { dropKeptRowids, KEPT_ROWID } from "./kept-rowid.ts";
import { LiveSource } from "./live-source.ts";
import { elsewhere, frozenForAnother, notAbortable } from "./not-abortable.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { removeReverseCapture } from "./reverse/capture.ts";
import { removeRefusals } from "./reverse/refuse-target-writes.ts";
import { breakable, endConnection } from "./target/break-connection.ts";
import { connectTarget } from "./target/connect.ts";
import { endedOrTold } from "./target/ended-or-told.ts";
import { holdTables } from "./target/hold-tables.ts";
import { currentMigration, type JournalEntry } from "./target/journal.ts";
import { takeTargetLock } from "./target/lock.ts";
import { removeOwnSchema } from "./target/remove-own-schema.ts";
import { serverError } from "./target/target-error.ts";

const PATIENCE_SECONDS = 10;

export interface AbortRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** How long transactions that use the loaded tables may take to end; 10 s when left out. */
  readonly patienceSeconds?: number;
  /** Drops the tables and views, too, that the load has made in Postgres. */
  readonly dropLoaded?: boolean;
  /** Keeps the report for good, before the target forgets the migration. Where it throws, the next run calls it again. */
  readonly onEnd?: (report: AbortReport) => Promise<void>;
}

export interface AbortReport {
  readonly phase: "abort";
  /** The migration that was ended; null where only SQLite knew of one. */
  readonly id: string | null;
  readonly tables: readonly { readonly name: string; readonly dropped: boolean }[];
  readonly findings: readonly MigrationFinding[];
  readonly seconds: number;
}

/**
 * Ends a migration that was not cut over, and takes away all that Lifeboat made on both sides: SQLite's schema is then what it was
 * before the load. The loaded tables stay in Postgres unless told otherwise. Run again, it removes what a kill left.
 * @throws LifeboatError `NOTHING_TO_ABORT` (not-found), `NOT_ABORTABLE` (refused), `TABLES_IN_USE`, `LOCKED`, `POSTGRES_LOST`, `ABORT_STOPPED`
 */
export async function abortMigration(request: AbortRequest): Promise<AbortReport> {
  const started = performance.now();
  const { postgres: address, signal } = request;
  const client = await connectTarget(address, signal);
  try {
    await breakable(client, signal, () => takeTargetLock(client));
    const source = existsSync(request.sqlite.path) ? LiveSource.open(request.sqlite.path) : null;
    try {
      const entry = await breakable(client, signal, () =>
        abortable(client, source, request.schema),
      );
      const abort = new Abort(client, source, entry, request, started);
      await endedOrTold({ client, address, signal }, "abort", () =>
        (request.run ?? runSteps)(abort.steps()),
      );
      return abort.report();
    } finally {
      source?.close();
    }
  } catch (cause) {
    throw serverError(cause);
  } finally {
    await endConnection(client);
  }
}

async function abortable(
  client: Client,
  source: LiveSource | null,
  schema: string | undefined,
): Promise<JournalEntry | null> {
  const entry = await currentMigration(client);
  const isOwn = entry !== null && (schema === undefined || entry.plan.schema === schema);
  if (isOwn && ["loading", "loaded"].includes(entry.phase)) return entry;
  if (isOwn && entry.phase === "cutting-over" && !isSwitching(entry, source)) return entry;
  if (isOwn) throw notAbortable(entry);
  if (entry !== null) throw elsewhere(entry.plan.schema);
  const owner = source === null ? null : capturedFor(source.db);
  if (source !== null && owner !== null) {
    if (refusalOf(source.db)?.until === null) throw frozenForAnother(source.path, owner);
    return null;
  }
  throw new LifeboatError({
    code: "NOTHING_TO_ABORT",
    kind: "not-found",
    message: "neither the target nor the SQLite database knows of a migration",
    remedy: "lifeboat migrate load begins one",
  });
}

/** Somebody may have been told to move; not where the refusals of SQLite still end by themselves. */
function isSwitching(entry: JournalEntry, source: LiveSource | null): boolean {
  return entry.details.switching === true && !(source !== null && isLeftFrozen(entry, source));
}

/** One run: the state that its steps hand on. */
class Abort {
  readonly #client: Client;
  readonly #source: LiveSource | null;
  readonly #entry: JournalEntry | null;
  readonly #request: AbortRequest;
  readonly #findings: MigrationFinding[] = [];
  readonly #started: number;

  constructor(
    client: Client,
    source: LiveSource | null,
    entry: JournalEntry | null,
    request: AbortRequest,
    started: number,
  ) {
    this.#client = client;
    this.#source = source;
    this.#entry = entry;
    this.#request = request;
    this.#started = started;
  }

  steps(): Step[] {
    return [
      { title: "let SQLite take writes", run: () => this.#allowWrites() },
      {
        title: "hold the loaded tables still in Postgres",
        run: () => this.#holdTarget(),
      },
      {
        title: "remove Lifeboat's tables and triggers from SQLite",
        run: async () => this.#removeFromSource(),
      },
      {
        title: this.#request.dropLoaded
          ? "drop what was loaded into Postgres"
          : "leave the loaded tables to Postgres",
        run: () => this.#settleTarget(),
      },
      {
        title: "remove schema lifeboat from Postgres",
        run: () => this.#removeJournal(),
      },
    ];
  }

  report(): AbortReport {
    const dropped = this.#request.dropLoaded === true;
    return {
      phase: "abort",
      id: this.#entry?.id ?? null,
      tables: (this.#entry?.plan.tables ?? []).map(({ name }) => ({ name, dropped })),
      findings: this.#findings,
      seconds: (performance.now() - this.#started) / 1000,
    };
  }

  async #allowWrites(): Promise<void> {
    if (this.#source === null || this.#entry === null || refusalOf(this.#source.db) === null)
      return;
    const { postgres: address, signal } = this.#request;
    await giveBack({
      ...{ client: this.#client, address, signal },
      ...{ source: this.#source, entry: this.#entry },
    });
  }

  #removeFromSource(): void {
    const source = this.#source;
    source?.write(() => removeTraces(source.db));
  }

  /**
   * Begins the transaction that ends with the journal and its schema gone: a run that finds no journal finds nothing to end. All
   * of its locks come first, since nothing must be gone yet in SQLite where one of them is not to be had.
   */
  async #holdTarget(): Promise<void> {
    await holdTables({
      client: this.#client,
      relations: await this.#changedRelations(),
      mode: "ACCESS EXCLUSIVE",
      patienceSeconds: this.#request.patienceSeconds ?? PATIENCE_SECONDS,
      signal: this.#request.signal,
    });
  }

  /** Readers of all other tables are left alone. A load that was broken off has left nothing but its entry in the journal. */
  async #changedRelations(): Promise<readonly string[]> {
    if (!this.#isLoaded()) return [];
    const { plan, details } = this.#entry as JournalEntry;
    const isAll = this.#request.dropLoaded === true || details.foreignKeysAside === true;
    const views = this.#request.dropLoaded === true ? plan.views : [];
    const names = [...plan.tables, ...views].map(({ target }) => qualified(plan.schema, target));
    const { rows } = await this.#client.query<{ name: string }>(
      `SELECT name FROM unnest($1::text[]) AS name WHERE $2
         OR EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(name) AND attname = '${KEPT_ROWID}' AND NOT attisdropped)
         OR EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(name) AND tgname LIKE 'lifeboat\\_%')`,
      [names, isAll],
    );
    return rows.map(({ name }) => name);
  }

  #isLoaded(): boolean {
    return this.#entry !== null && this.#entry.phase !== "loading";
  }

  async #settleTarget(): Promise<void> {
    if (!this.#isLoaded()) return;
    const client = this.#client;
    const { plan, details } = this.#entry as JournalEntry;
    await removeRefusals(client, plan);
    // A cutover that was killed may have begun to keep Postgres' changes.
    await removeReverseCapture(client, plan);
    if (this.#request.dropLoaded) return dropLoaded(client, plan);
    if (details.foreignKeysAside === true) await bringForeignKeysBack(client, plan);
    await dropKeptRowids(client, plan);
  }

  async #removeJournal(): Promise<void> {
    this.#findings.push(...(await removeOwnSchema(this.#client)));
    await this.#request.onEnd?.(this.report());
    await this.#client.query("COMMIT");
  }
}
