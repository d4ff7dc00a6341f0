import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type ChosenRestore, chooseRestore } from "./choose-restore.ts";
import type { DrillRecord } from "./drill-record.ts";
import type { Engine, EngineKind, RestoredDatabase, RevivedDatabase } from "./engine.ts";
import { LifeboatError, reasonOf } from "./errors.ts";
import { meteredStorage } from "./metered-storage.ts";
import { runSteps, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { secondsSince } from "./restore.ts";
import { makeScratch } from "./scratch.ts";
import type { RecoveryTarget } from "./window.ts";

/** A statement that must be true of a restored copy: the first column of its first row, as true or 1. */
export interface DrillCheck {
  readonly name: string;
  readonly sql: string;
  /** In which database of a Postgres cluster, or which SQLite database; the first when left out. */
  readonly database?: string | undefined;
}

export interface DrillRequest {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  readonly engine?: EngineKind | undefined;
  readonly target: RecoveryTarget;
  readonly checks: (engine: EngineKind) => readonly DrillCheck[];
  /** Leave the restored copy, stopped, and name it in the report. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
  readonly run?: StepRunner | undefined;
}

export interface DrillReport extends DrillRecord {
  /** Where the copy was left. */
  readonly kept: string | null;
}

/**
 * Restores into a scratch place, brings the copy to life, asks whether it is sound and whether what
 * the product asserts is true, and records how long each part took: the measured recovery time. A
 * drill that finds something wrong returns `ok: false`; it is recorded too.
 *
 * @throws LifeboatError when nothing could be restored; that is recorded as a failed drill as well
 *   where a backup was chosen
 */
export async function drill(request: DrillRequest): Promise<DrillReport> {
  const started = performance.now();
  const startedAt = new Date();
  const [choice] = await chooseRestore(request);
  const scratch = await makeScratch();
  const run = new DrillRun(request, choice, scratch);
  try {
    await run.perform();
  } finally {
    await run.close();
    if (!request.keep) await rm(scratch, { recursive: true, force: true });
  }
  const record = run.record(startedAt, secondsSince(started));
  await request.repository.writeDrill(record);
  return { ...record, kept: request.keep ? scratch : null };
}

class DrillRun {
  readonly #request: DrillRequest;
  readonly #choice: ChosenRestore;
  readonly #scratch: string;
  readonly #seconds = { fetch: 0, restore: 0, replay: 0, checks: 0 };
  readonly #checks: { name: string; ok: boolean; message: string }[] = [];
  #restored: RestoredDatabase | undefined;
  #revived: RevivedDatabase | undefined;

  constructor(request: DrillRequest, choice: ChosenRestore, scratch: string) {
    this.#request = request;
    this.#choice = choice;
    this.#scratch = scratch;
  }

  async perform(): Promise<void> {
    const { run = runSteps } = this.#request;
    const { folder } = this.#choice;
    await run([
      { title: `restore ${folder.database}`, run: (report) => this.#restore(report) },
      { title: "bring the copy to life", run: (report) => this.#revive(report) },
      { title: "check the copy", run: () => this.#check() },
    ]);
  }

  async close(): Promise<void> {
    await this.#revived?.close();
  }

  record(startedAt: Date, total: number): DrillRecord {
    const { folder, plan, engine } = this.#choice;
    return {
      ok: this.#checks.every(({ ok }) => ok),
      id: startedAt.toISOString().replace(/[-:]/g, ""),
      app: folder.app,
      engine: engine.kind,
      database: folder.database,
      backup: plan.backups[0].id,
      startedAt: startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      recoveredTo: this.#revived?.recoveredTo ?? this.#restored?.recoveredTo ?? null,
      seconds: { ...this.#seconds, total },
      checks: this.#checks,
    };
  }

  async #restore(report: Parameters<Engine["restore"]>[0]["report"]): Promise<void> {
    const { engine, folder, plan } = this.#choice;
    const { signal } = this.#request;
    const started = performance.now();
    const metered = meteredStorage(folder.storage);
    this.#restored = await engine.restore({
      folder: folder.over(metered.storage),
      plan,
      to: join(this.#scratch, "copy"),
      tablespaceMapping: new Map(),
      tablespaceRoot: join(this.#scratch, "tablespaces"),
      force: false,
      fetchCommand: [],
      report,
      signal,
    });
    this.#seconds.fetch = metered.seconds();
    this.#seconds.restore = rounded(secondsSince(started) - metered.seconds());
  }

  async #revive(report: Parameters<Engine["revive"]>[0]["report"]): Promise<void> {
    const { engine, folder, plan } = this.#choice;
    const { signal } = this.#request;
    const started = performance.now();
    const restored = this.#restored as RestoredDatabase;
    this.#revived = await engine.revive({ folder, plan, restored, report, signal });
    this.#seconds.replay = secondsSince(started);
  }

  async #check(): Promise<void> {
    const started = performance.now();
    const copy = this.#revived as RevivedDatabase;
    this.#checks.push(...(await copy.prove()));
    for (const check of this.#request.checks(this.#choice.engine.kind)) {
      this.#request.signal.throwIfAborted();
      this.#checks.push(await answerOf(copy, check));
    }
    this.#seconds.checks = secondsSince(started);
  }
}

async function answerOf(copy: RevivedDatabase, { name, sql, database }: DrillCheck) {
  try {
    const rows = await copy.query(sql, database);
    const answer = rows[0]?.[0];
    if (answer === true || answer === 1 || answer === 1n)
      return { name, ok: true, message: "true" };
    const said = rows.length === 0 ? "no row" : String(answer);
    return { name, ok: false, message: `answered ${said} instead of true` };
  } catch (thrown) {
    // A check that cannot be asked has failed: that is its answer, and the drill's record shows it.
    const message = thrown instanceof LifeboatError ? thrown.message : reasonOf(thrown);
    return { name, ok: false, message };
  }
}

function rounded(seconds: number): number {
  return Math.max(0, Math.round(seconds * 1000) / 1000);
}
