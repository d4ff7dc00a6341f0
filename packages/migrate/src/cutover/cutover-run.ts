import { type Report, type Step, stepsOf } from "@lifeboat/core";
import type { Client } from "pg";
import type { MigrationFinding } from "../finding.ts";
import { brokenForeignKeys } from "../forward/foreign-keys.ts";
import { Forward } from "../forward/forward.ts";
import { SyncTally } from "../forward/sync-tally.ts";
import { removeCapture } from "../freeze.ts";
import { dropKeptRowidsBeside, keptRowidLeft } from "../kept-rowid.ts";
import type { LiveSource } from "../live-source.ts";
import { removeReverseCaptureBeside } from "../reverse/capture.ts";
import { allowTargetWrites } from "../reverse/refuse-target-writes.ts";
import { rightsLook } from "../rights/rights-look.ts";
import { breakable, isBroken } from "../target/break-connection.ts";
import { advance, type JournalEntry, note } from "../target/journal.ts";
import { movedAtOf } from "../target/moved-at.ts";
import type { StoodInFor } from "../target/stand-in.ts";
import { isTakenOver, takenOver } from "../target/taken-over.ts";
import { withinBudget } from "../target/within-budget.ts";
import { backOut } from "./back-out.ts";
import { bringUntilFew } from "./bring-until-few.ts";
import { claimCutover } from "./claim-cutover.ts";
import { orphans, switchFailed, tooSlow, unfinished } from "./cutover-failures.ts";
import type { CutoverReport, CutoverRequest } from "./cutover-request.ts";
import { CUTOVER_STEPS, type CutoverStepId } from "./cutover-steps.ts";
import { assertGates, type Gate, lookAtGates, ownGates } from "./gates.ts";
import { type CutoverLeft, giveBack } from "./give-back.ts";
import { holdWriters } from "./hold-writers.ts";
import { prepareTarget } from "./prepare-target.ts";
import { prepareRefusals, refuseUntouched } from "./refusals.ts";
import { isLeftFrozen, type Stage, stageOf } from "./stage.ts";

/** How long the product may be without a database that takes its writes, unless said otherwise. */
const DEFAULT_BUDGET_SECONDS = 10;

/** One run of a cutover: the state that its steps hand on. */
export class CutoverRun {
  readonly #client: Client;
  readonly #source: LiveSource;
  readonly #request: CutoverRequest;
  readonly #tally = new SyncTally();
  readonly #gates: Gate[] = [];
  readonly #backups: string[] = [];
  readonly #findings: MigrationFinding[] = [];
  #stage: Stage;
  #entry: JournalEntry;
  #forward: Forward;
  /** The log from here on is compared again. */
  #from = 0n;
  #holdSeconds = 0;
  #frozenAt = 0;
  /** When SQLite takes writes again by itself. */
  #until = 0;
  #switchSeconds = 0;

  constructor(client: Client, source: LiveSource, entry: JournalEntry, request: CutoverRequest) {
    this.#client = client;
    this.#source = source;
    this.#entry = entry;
    this.#request = request;
    this.#forward = new Forward(source, client, entry, "cutting-over");
    this.#stage = stageOf(entry, source);
  }

  steps(): Step[] {
    const run: Record<CutoverStepId, (report: Report) => Promise<void>> = {
      claim: (report) => this.#claim(report),
      gates: (report) => this.#orBack((signal) => this.#checkGates(report, signal)),
      "backup-sqlite": () => this.#orBack((signal) => this.#backUp("sqlite", signal)),
      "backup-postgres": () => this.#orBack((signal) => this.#backUp("postgres", signal)),
      "come-close": (report) => this.#orBack((signal) => this.#comeClose(report, signal)),
      freeze: () => this.#orBack((signal) => this.#freeze(signal)),
      "prepare-target": () => this.#orBack(() => this.#prepareTarget()),
      "verify-touched": () => this.#orBack(() => this.#verifyTouched()),
      switch: () => this.#switch(),
      "drop-capture": () => this.#dropCapture(),
      close: () => this.#close(),
    };
    return stepsOf(CUTOVER_STEPS, run);
  }

  report(seconds: number): CutoverReport {
    return {
      phase: "cutover",
      id: this.#entry.id,
      tables: this.#tally.tables,
      findings: this.#findings,
      gates: this.#gates,
      backups: this.#backups,
      rows: this.#tally.rows,
      holdSeconds: this.#holdSeconds,
      movedAt: movedAtOf(this.#entry),
      switchSeconds: this.#switchSeconds,
      seconds,
    };
  }

  /** Does a step that may still be taken back, and takes all of it back where it fails or takes too long. */
  async #orBack(step: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#stage !== "fresh") return;
    try {
      this.#signal().throwIfAborted();
      const signal = this.#signal();
      await breakable(this.#client, signal, () => step(signal));
      this.#signal().throwIfAborted();
    } catch (cause) {
      // What another run has moved on is its own to take back.
      if (isTakenOver(cause)) throw cause;
      await this.#back(cause);
      throw this.#isLate(cause) ? tooSlow(this.#budget(), cause) : cause;
    }
  }

  #back(cause: unknown): Promise<void> {
    return backOut(this.#left(), cause, this.#signal());
  }

  #left(): CutoverLeft {
    return { ...this.#own(), source: this.#source, entry: this.#entry };
  }

  #own(): StoodInFor {
    const { postgres: address, signal } = this.#request;
    return { client: this.#client, address, signal };
  }

  /** Does what follows the switch, where nothing is taken back any more. */
  async #past(stage: "switching" | "switched", work: () => Promise<void>): Promise<void> {
    const { signal } = this.#request;
    try {
      await breakable(this.#client, signal, work);
    } catch (cause) {
      throw isBroken(this.#client) ? unfinished(cause, stage) : cause;
    }
  }

  #isLate(cause: unknown): boolean {
    return this.#frozenAt > 0 && (cause as Error | undefined)?.name === "TimeoutError";
  }

  #budget(): number {
    return this.#request.budgetSeconds ?? DEFAULT_BUDGET_SECONDS;
  }

  /** The user's own, and the budget's once SQLite refuses writes. */
  #signal(): AbortSignal {
    if (this.#frozenAt === 0) return this.#request.signal;
    const left = this.#budget() * 1000 - (performance.now() - this.#frozenAt);
    return withinBudget(this.#request.signal, left);
  }

  async #claim(report: Report): Promise<void> {
    if (this.#stage === "done") return;
    await this.#claimOnce(report);
    if (isLeftFrozen(this.#entry, this.#source)) {
      // Whatever was written since its refusals ended by themselves is in the log, so all begins anew.
      await giveBack(this.#left());
      await this.#claimOnce(report);
    }
    await this.#begin();
  }

  async #claimOnce(report: Report): Promise<void> {
    this.#entry = await claimCutover(this.#own(), this.#entry.id, report);
    this.#stage = stageOf(this.#entry, this.#source);
  }

  async #begin(): Promise<void> {
    if (this.#stage === "done") return;
    this.#forward = new Forward(this.#source, this.#client, this.#entry, "cutting-over");
    if (this.#stage !== "fresh") {
      this.#frozenAt = performance.now();
      return;
    }
    this.#from = this.#forward.watermark;
    await this.#orBack(async () => {
      if (this.#entry.details.switching === true) await this.#endWayBack();
      await this.#forward.begin();
    });
  }

  /** A way back that was killed once SQLite took writes again. */
  async #endWayBack(): Promise<void> {
    await removeReverseCaptureBeside(this.#client, this.#entry.plan);
    const noted = { switching: false, targetRefused: true };
    await this.#note(noted);
    this.#entry = { ...this.#entry, details: { ...this.#entry.details, ...noted } };
  }

  /** Changes are brought before it is asked how many wait: a sync need not have run. */
  async #checkGates(report: Report, signal: AbortSignal): Promise<void> {
    const closest = await this.#bringUntilFew(report, signal);
    const own = { closest, verifiedAt: this.#entry.details.verifiedAt };
    const rights = rightsLook(this.#client, this.#request.appRole, this.#entry.plan);
    this.#gates.push(
      ...(await lookAtGates(ownGates(own, { ...rights, ...this.#request.gates }), {
        ...this.#request,
        signal,
        report,
      })),
    );
    assertGates(this.#gates);
  }

  async #backUp(engine: "sqlite" | "postgres", signal: AbortSignal): Promise<void> {
    const id = await this.#request.backup?.(engine, signal);
    if (id !== undefined) this.#backups.push(id);
  }

  async #comeClose(report: Report, signal: AbortSignal): Promise<void> {
    const broken = await brokenForeignKeys(this.#client, this.#entry.plan);
    if (broken.length > 0) throw orphans(broken);
    do await this.#bringUntilFew(report, signal);
    while (!prepareRefusals(this.#source));
    await this.#bringUntilFew(report, signal);
  }

  #bringUntilFew(report: Report, signal: AbortSignal): Promise<number> {
    return bringUntilFew(this.#forward, this.#tally, report, signal);
  }

  async #freeze(signal: AbortSignal): Promise<void> {
    const { applied, until, seconds } = await holdWriters({
      source: this.#source,
      client: this.#client,
      forward: this.#forward,
      budgetSeconds: this.#budget(),
      signal,
    });
    this.#frozenAt = performance.now();
    this.#until = until;
    this.#holdSeconds = seconds;
    if (applied !== null) this.#tally.add(applied);
  }

  async #prepareTarget(): Promise<void> {
    await this.#forward.end();
    await prepareTarget(this.#client, this.#source, this.#entry.plan);
  }

  async #verifyTouched(): Promise<void> {
    await this.#forward.compareAgain(this.#from);
    const broken = await brokenForeignKeys(this.#client, this.#entry.plan);
    if (broken.length > 0) throw orphans(broken);
  }

  async #switch(): Promise<void> {
    if (this.#stage === "done" || this.#stage === "switched") return;
    await this.#orBack(async () => {
      const moving = { switching: true, movedAt: new Date().toISOString() };
      await this.#note(moving);
      refuseUntouched(this.#source, this.#forward, this.#until);
      // From here on the way back leads through Postgres, whatever becomes of the connection.
      this.#entry = { ...this.#entry, details: { ...this.#entry.details, ...moving } };
    });
    try {
      await breakable(this.#client, this.#signal(), () => this.#allowTargetWrites());
      await this.#request.onCutover?.(this.#signal());
    } catch (cause) {
      await this.#back(cause);
      if (this.#isLate(cause)) throw tooSlow(this.#budget(), cause);
      this.#request.signal.throwIfAborted();
      throw switchFailed(cause);
    }
    this.#switchSeconds = (performance.now() - this.#frozenAt) / 1000;
    // Without its capture SQLite can't take over again, so a run that ends this one must not try.
    await this.#past("switching", () => this.#note({ switched: true }));
  }

  /** A way back, ended or killed, has left them refused. */
  async #allowTargetWrites(): Promise<void> {
    if (this.#stage !== "switching" && this.#entry.details.targetRefused !== true) return;
    await allowTargetWrites(this.#client, this.#entry.plan);
    await this.#note({ targetRefused: false });
  }

  async #dropCapture(): Promise<void> {
    if (this.#stage === "done") return;
    this.#source.write(() => removeCapture(this.#source.db));
    await this.#past("switched", async () => {
      if (await dropKeptRowidsBeside(this.#client, this.#entry.plan)) return;
      this.#findings.push(keptRowidLeft());
    });
  }

  async #close(): Promise<void> {
    await this.#past("switched", async () => {
      await advance(this.#client, this.#entry.id, "cutting-over", "cut-over", {
        cutOverAt: new Date().toISOString(),
        holdSeconds: this.#holdSeconds,
        switchSeconds: this.#switchSeconds,
      });
    });
  }

  async #note(details: Readonly<Record<string, unknown>>): Promise<void> {
    if (await note(this.#client, this.#entry.id, ["cutting-over"], details)) return;
    throw takenOver();
  }
}
