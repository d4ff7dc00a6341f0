import type { Report, Step } from "@lifeboat/core";
import type { Client } from "pg";
import { readCatalog } from "../compare/read-catalog.ts";
import type { MigrationFinding } from "../finding.ts";
import type { DdlPhase, MigrationPlan } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { abandon } from "../target/abandon.ts";
import { closeEntry, noteEnded, openEntry, prepareJournal } from "../target/journal.ts";
import type { CopyInput, CopyProgress } from "./copy-table.ts";
import { runDdl } from "./run-ddl.ts";

/** The title of the step that may be left out. */
export const COMPARE = "compare both sides";

export interface LoadedTable {
  readonly name: string;
  readonly target: string;
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface LoadReport {
  readonly phase: "load";
  readonly id: string;
  readonly schema: string;
  readonly tables: readonly LoadedTable[];
  readonly findings: readonly MigrationFinding[];
  readonly rows: number;
  /** Bytes of COPY data; 0 where this run only ended what an earlier one had committed. */
  readonly bytes: number;
  readonly seconds: number;
  /** Whether both sides were found equal before the commit. */
  readonly compared: boolean;
  /** Of these seconds, those in which it stood still so that the product kept its pace; only of a live load. */
  readonly restedSeconds?: number;
}

export interface LoadRunInit {
  readonly id: string;
  readonly client: Client;
  readonly plan: MigrationPlan;
  /** Whether both sides are compared before the commit. */
  readonly compares: boolean;
  readonly signal: AbortSignal;
  /** As of `performance.now()`. */
  readonly started: number;
  /** Keeps the report for good. */
  readonly onEnd: ((report: LoadReport) => Promise<void>) | undefined;
}

/** One run of a load: one transaction of Postgres, and what its steps hand on. */
export abstract class LoadRun {
  readonly id: string;
  readonly compares: boolean;
  readonly tables: LoadedTable[] = [];
  protected readonly client: Client;
  protected readonly plan: MigrationPlan;
  protected readonly signal: AbortSignal;
  protected readonly findings: MigrationFinding[];
  readonly #started: number;
  readonly #onEnd: LoadRunInit["onEnd"];

  constructor({ id, client, plan, compares, signal, started, onEnd }: LoadRunInit) {
    this.id = id;
    this.client = client;
    this.plan = plan;
    this.compares = compares;
    this.signal = signal;
    this.findings = [...plan.findings];
    this.#started = started;
    this.#onEnd = onEnd;
  }

  /** What it does, in this order; the comparison only where it is wanted. */
  steps(): Step[] {
    return this.allSteps().filter(({ title }) => this.compares || title !== COMPARE);
  }

  protected abstract allSteps(): Step[];

  report(): LoadReport {
    const { id, plan, tables, findings } = this;
    return {
      phase: "load",
      id,
      schema: plan.schema,
      tables,
      findings,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0),
      seconds: (performance.now() - this.#started) / 1000,
      compared: this.compares,
    };
  }

  /** What a failure comes from, as far as only a look at SQLite tells; before anything is taken back. */
  named(cause: unknown): unknown {
    return cause;
  }

  /** Leaves nothing of the transaction; the journal still tells that there was one. */
  async abandon(): Promise<void> {
    await abandon(this.client);
  }

  protected async begin(): Promise<void> {
    await prepareJournal(this.client);
    await openEntry(this.client, this.id, this.plan);
    await this.client.query("BEGIN");
    await this.client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(this.plan.schema)}`);
    await this.client.query("SET LOCAL maintenance_work_mem = '256MB'");
    // As many as the server may have in all; a large table gets as many of them as its size is worth.
    await this.client.query(
      "SELECT set_config('max_parallel_maintenance_workers', current_setting('max_parallel_workers'), true)",
    );
  }

  protected async ddl(phases: readonly DdlPhase[], report?: Report): Promise<void> {
    for (const statement of this.plan.ddl) {
      if (!phases.includes(statement.phase)) continue;
      this.signal.throwIfAborted();
      report?.({ note: `${statement.table}: ${statement.name}` });
      await runDdl(this.client, statement);
    }
  }

  /** @param copy copies one table and gives the number of its rows */
  protected async copyAll(
    report: Report,
    copy: (input: Omit<CopyInput, "db">) => Promise<number>,
  ): Promise<void> {
    let bytes = 0;
    for (const table of this.plan.tables) {
      const started = performance.now();
      const before = bytes;
      const progress: CopyProgress = (chunk) => {
        bytes += chunk;
        report({ bytes, note: table.name });
      };
      const { client, signal } = this;
      const rows = await copy({ client, signal, progress, schema: this.plan.schema, table });
      this.tables.push({
        name: table.name,
        target: table.target,
        rows,
        bytes: bytes - before,
        seconds: (performance.now() - started) / 1000,
      });
    }
  }

  protected async commit(details: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const catalog = await readCatalog(this.client, this.plan.schema);
    await closeEntry(this.client, this.id, catalog, details);
    await this.client.query("COMMIT");
  }

  /** The last step: until the journal says that it was ended, the next load ends this one, see `CommittedLoad`. */
  protected closing(): Step {
    return {
      title: "close the journal",
      run: async () => {
        await this.#onEnd?.(this.report());
        await noteEnded(this.client, this.id);
      },
    };
  }
}
