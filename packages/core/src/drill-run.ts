import { join } from "node:path";
import type { ChosenRestore } from "./choose-restore.ts";
import { stepsOf } from "./described-step.ts";
import { drillSteps } from "./drill-steps.ts";
import type { RestoredDatabase, RevivedDatabase } from "./engine.ts";
import { LifeboatError, reasonOf } from "./errors.ts";
import { meteredStorage } from "./metered-storage.ts";
import type { Report, Step } from "./progress.ts";
import { secondsSince } from "./restore.ts";

/** A statement that must be true of a restored copy: the first column of its first row, as true or 1. */
export interface DrillCheck {
  readonly name: string;
  readonly sql: string;
  /** In which database of a Postgres cluster, or which SQLite database; the first when left out. */
  readonly database?: string | undefined;
}

export interface DrillAnswer {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

/** Characters of an answer that are told. */
const MOST_SHOWN = 200;

/** The drill of one database: restore into a scratch place, bring to life, check. */
export class DrillRun {
  readonly choice: ChosenRestore;
  readonly seconds = { fetch: 0, restore: 0, replay: 0, checks: 0 };
  readonly answers: DrillAnswer[] = [];
  readonly #scratch: string;
  readonly #keep: boolean;
  readonly #checks: readonly DrillCheck[];
  readonly #signal: AbortSignal;
  #restored: RestoredDatabase | undefined;
  #revived: RevivedDatabase | undefined;

  constructor(
    choice: ChosenRestore,
    init: {
      /** A directory of its own, which the caller removes. */
      readonly scratch: string;
      /** Somebody will look at the copy: what its server says is written beside it. */
      readonly keep: boolean;
      readonly checks: readonly DrillCheck[];
      readonly signal: AbortSignal;
    },
  ) {
    this.choice = choice;
    this.#scratch = init.scratch;
    this.#keep = init.keep;
    this.#checks = init.checks;
    this.#signal = init.signal;
  }

  get recoveredTo(): string | null {
    return this.#revived?.recoveredTo ?? this.#restored?.recoveredTo ?? null;
  }

  /** Whether there is a copy to look at: a restore that fails leaves none. */
  get isRestored(): boolean {
    return this.#restored !== undefined;
  }

  /** Of a copy that is kept. */
  get serverLog(): string {
    return join(this.#scratch, "server.log");
  }

  steps(): Step[] {
    return stepsOf(drillSteps(this.choice.folder.database), {
      restore: (report) => this.#restore(report),
      revive: (report) => this.#revive(report),
      check: () => this.#check(),
    });
  }

  /** Stops the copy. May be called twice. */
  async close(): Promise<void> {
    await this.#revived?.close();
  }

  async #restore(report: Report): Promise<void> {
    const { engine, folder, plan } = this.choice;
    const started = performance.now();
    const metered = meteredStorage(folder.storage);
    this.#restored = await engine.restore({
      folder: folder.over(metered.storage),
      plan,
      to: join(this.#scratch, "copy"),
      tablespaceMapping: new Map(),
      tablespaceRoot: join(this.#scratch, "tablespaces"),
      force: false,
      // What is wrong with it is then an answer among the others.
      comesToLife: true,
      fetchCommand: [],
      report,
      signal: this.#signal,
    });
    this.seconds.fetch = metered.seconds();
    this.seconds.restore = Math.max(0, secondsSince(started) - metered.seconds());
  }

  async #revive(report: Report): Promise<void> {
    const { engine, folder, plan } = this.choice;
    const started = performance.now();
    const restored = this.#restored as RestoredDatabase;
    const serverLog = this.#keep ? this.serverLog : undefined;
    const signal = this.#signal;
    this.#revived = await engine.revive({ folder, plan, restored, serverLog, report, signal });
    this.seconds.replay = secondsSince(started);
  }

  async #check(): Promise<void> {
    const started = performance.now();
    const copy = this.#revived as RevivedDatabase;
    this.answers.push(...(await copy.prove()));
    for (const check of this.#checks) {
      this.#signal.throwIfAborted();
      this.answers.push(await answerOf(copy, check));
    }
    this.seconds.checks = secondsSince(started);
  }
}

async function answerOf(
  copy: RevivedDatabase,
  { name, sql, database }: DrillCheck,
): Promise<DrillAnswer> {
  try {
    const rows = await copy.query(sql, database);
    const answer = rows[0]?.[0];
    if (answer === true || answer === 1 || answer === 1n)
      return { name, ok: true, message: "true" };
    // Quoted, so that the text "true" is told from true.
    const text = typeof answer === "string" ? JSON.stringify(answer) : String(answer);
    const said = rows.length === 0 ? "no row" : shortened(text);
    return { name, ok: false, message: `answered ${said} instead of true` };
  } catch (thrown) {
    // A check that cannot be asked has failed: that is its answer, and the drill's record shows it.
    const message = thrown instanceof LifeboatError ? thrown.message : reasonOf(thrown);
    return { name, ok: false, message };
  }
}

/** An answer is told and recorded, and a whole document of the product belongs into neither. */
function shortened(text: string): string {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
