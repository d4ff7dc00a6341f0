import { LifeboatError, type Report, runSteps, type Step } from "@lifeboat/core";
import type { Client } from "pg";
import { readCatalog } from "./compare/read-catalog.ts";
import { type CompareInput, compareTable } from "./compare.ts";
import type { MigrationFinding } from "./finding.ts";
import { assertComparedEqual } from "./load/assert-compared-equal.ts";
import { assertQuiet } from "./load/assert-quiet.ts";
import { copyTable } from "./load/copy-table.ts";
import { runDdl } from "./load/run-ddl.ts";
import { planSource } from "./make-plan.ts";
import { type DdlPhase, type MigrationPlan, unansweredErrors } from "./plan.ts";
import { quoteName } from "./quote.ts";
import type { MigrationRequest, TargetAddress } from "./request.ts";
import { openSource, type Source } from "./source.ts";
import { assertEmptyTarget } from "./target/assert-empty.ts";
import { cancelOnAbort } from "./target/cancel-on-abort.ts";
import { connectTarget } from "./target/connect.ts";
import { closeEntry, openEntry, prepareJournal } from "./target/journal.ts";
import { takeTargetLock } from "./target/lock.ts";
import { serverError, targetError } from "./target/target-error.ts";

export interface LoadRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
}

export interface LoadReport {
  readonly phase: "load";
  readonly id: string;
  readonly schema: string;
  readonly tables: readonly LoadedTable[];
  readonly findings: readonly MigrationFinding[];
  readonly rows: number;
  /** Bytes of COPY data. */
  readonly bytes: number;
  readonly seconds: number;
}

export interface LoadedTable {
  readonly name: string;
  readonly target: string;
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
}

/**
 * Loads a quiet SQLite database into an empty schema, in one transaction: tables, rows, keys, indexes,
 * foreign keys, sequences, and at its end the comparison of both sides. Only what compared equal is
 * committed, so nobody ever sees half of it, and a load that was killed is simply run again.
 * @throws LifeboatError `PLAN_HAS_ERRORS`, `TARGET_NOT_EMPTY` (refused), `LOCKED`, `SOURCE_CHANGED`,
 * `LOAD_DIFFERS`, `TARGET_REFUSED`, `TARGET_REFUSED_ROWS`, `POSTGRES_LOST`, and those of `planMigration`
 */
export async function loadMigration(request: LoadRequest): Promise<LoadReport> {
  const started = performance.now();
  const source = openSource(request.sqlite.path);
  try {
    const client = await connectTarget(request.postgres);
    try {
      return await loadInto(client, source, request, started);
    } finally {
      await client.end();
    }
  } finally {
    source.close();
  }
}

async function loadInto(
  client: Client,
  source: Source,
  request: LoadRequest,
  started: number,
): Promise<LoadReport> {
  const schema = request.schema ?? "public";
  await takeTargetLock(client);
  await assertEmptyTarget(client, schema);
  const plan = await planSource(source, request);
  assertAnswered(plan);
  await using _ = await cancelOnAbort(client, request.postgres, request.signal);
  const load = new Load(client, source, plan, request.signal);
  const run = request.run ?? runSteps;
  try {
    await run(load.steps());
  } catch (cause) {
    await load.abandon();
    request.signal.throwIfAborted();
    throw serverError(cause);
  }
  return {
    phase: "load",
    id: load.id,
    schema,
    tables: load.tables,
    findings: plan.findings,
    rows: load.tables.reduce((sum, table) => sum + table.rows, 0),
    bytes: load.tables.reduce((sum, table) => sum + table.bytes, 0),
    seconds: (performance.now() - started) / 1000,
  };
}

function assertAnswered(plan: MigrationPlan): void {
  const errors = unansweredErrors(plan);
  if (errors.length === 0) return;
  throw new LifeboatError({
    code: "PLAN_HAS_ERRORS",
    message: `the plan has ${errors.length} unanswered errors, the first: ${errors[0]?.summary}`,
    remedy:
      "run `lifeboat migrate plan`, and answer each error in migrate.columns of the configuration; nothing was created",
    details: { findings: plan.findings, phase: "load", tables: [] },
  });
}

/** One run of a load: the state that its steps hand on. */
class Load {
  readonly id = new Date().toISOString().replaceAll(/[-:]/g, "");
  readonly tables: LoadedTable[] = [];
  readonly #client: Client;
  readonly #source: Source;
  readonly #plan: MigrationPlan;
  readonly #signal: AbortSignal;

  constructor(client: Client, source: Source, plan: MigrationPlan, signal: AbortSignal) {
    this.#client = client;
    this.#source = source;
    this.#plan = plan;
    this.#signal = signal;
  }

  steps(): Step[] {
    return [
      { title: "open the journal", run: () => this.#begin() },
      { title: "create the tables", run: () => this.#ddl(["tables"]) },
      { title: "copy the rows", run: (report) => this.#copy(report) },
      { title: "build keys and indexes", run: (report) => this.#ddl(["keys", "indexes"], report) },
      {
        title: "validate constraints",
        run: (report) => this.#ddl(["checks", "foreign-keys"], report),
      },
      {
        title: "set sequences, views and statistics",
        run: (report) => this.#ddl(["sequences", "views", "statistics"], report),
      },
      { title: "compare both sides", run: (report) => this.#compare(report) },
      {
        title: "see that the source stayed quiet",
        run: (report) => assertQuiet(this.#source, this.#plan, this.#compared(report)),
      },
      { title: "commit", run: () => this.#commit() },
    ];
  }

  /** Leaves nothing of the transaction; the journal still tells that there was one. */
  async abandon(): Promise<void> {
    try {
      await this.#client.query("ROLLBACK");
    } catch (cause) {
      // Without its connection there is no transaction either; the first failure is the one to tell.
      if (!(targetError(cause) instanceof LifeboatError)) throw cause;
    }
  }

  async #begin(): Promise<void> {
    await prepareJournal(this.#client);
    await openEntry(this.#client, this.id, this.#plan);
    await this.#client.query("BEGIN");
    await this.#client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(this.#plan.schema)}`);
    await this.#client.query("SET LOCAL maintenance_work_mem = '256MB'");
  }

  async #ddl(phases: readonly DdlPhase[], report?: Report): Promise<void> {
    for (const statement of this.#plan.ddl) {
      if (!phases.includes(statement.phase)) continue;
      this.#signal.throwIfAborted();
      report?.({ note: `${statement.table}: ${statement.name}` });
      await runDdl(this.#client, statement);
    }
  }

  async #copy(report: Report): Promise<void> {
    let bytes = 0;
    for (const table of this.#plan.tables) {
      const started = performance.now();
      const before = bytes;
      const count = (chunk: number) => {
        bytes += chunk;
        report({ bytes, note: table.name });
      };
      const rows = await copyTable(
        this.#source.db,
        this.#client,
        this.#plan.schema,
        table,
        count,
        this.#signal,
      );
      const seconds = (performance.now() - started) / 1000;
      this.tables.push({
        name: table.name,
        target: table.target,
        rows,
        bytes: bytes - before,
        seconds,
      });
    }
  }

  async #compare(report: Report): Promise<void> {
    for (const table of this.#plan.tables) {
      report({ note: table.name });
      assertComparedEqual(await compareTable({ ...this.#compared(report), table }));
    }
  }

  #compared(report: Report): Omit<CompareInput, "table"> {
    const { db } = this.#source;
    return { db, client: this.#client, schema: this.#plan.schema, report, signal: this.#signal };
  }

  async #commit(): Promise<void> {
    const catalog = await readCatalog(this.#client, this.#plan.schema);
    await closeEntry(this.#client, this.id, catalog);
    await this.#client.query("COMMIT");
  }
}
