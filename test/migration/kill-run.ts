import { setTimeout as sleep } from "node:timers/promises";
import { orStopped } from "../support/or-stopped.ts";
import type { TestCluster } from "../support/postgres.ts";
import { randomFrom } from "../support/random-from.ts";
import { type Beside, KillCase, type RunningVerb, type Side, type Verb } from "./kill-case.ts";

const VICTIMS = ["runner", "runner", "writer", "server"] as const;
type Victim = (typeof VICTIMS)[number];
/** A verb that still fails after so many runs that nobody killed never will succeed. */
const MAX_TRIES = 8;

/** What a run of a verb answers that finds its work done, and told in the journal or gone from it, by one that was killed after that. */
const DONE_BEFORE: Partial<Record<Verb, string>> = {
  load: "failed TARGET_NOT_EMPTY",
  finish: "failed NOTHING_TO_FINISH",
  abort: "failed NOTHING_TO_ABORT",
};

export interface KillReport {
  readonly seed: number;
  readonly rounds: number;
  readonly kills: Readonly<Record<Victim, number>>;
  /** Kills by the step that had begun: `cutover: freeze SQLite`. */
  readonly at: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  /** Cutovers that were given back, the product having been in Postgres. */
  readonly failedSwitches: number;
  readonly seconds: number;
  /** What was wrong; empty when all held. */
  readonly faults: readonly string[];
}

export interface KillRunInit {
  readonly cluster: TestCluster;
  readonly seed: number;
  /** Goes on until so many rounds are done… */
  readonly rounds?: number;
  /** …or so many kills, at the end of their round. */
  readonly kills?: number;
  /** Kills of one verb. */
  readonly killsAVerb?: number;
  /** Milliseconds between two commits of each of the two writers. */
  readonly pause?: number;
  /** Programs that write beside the two, in each round. */
  readonly beside?: (round: number) => Beside;
  say?(line: string): void;
  /** Ends it in the midst of a round, of which nothing is told then. */
  readonly signal?: AbortSignal;
}

/**
 * Moves a product that two processes write to Postgres and back, again and again, while the runner, a writer or the server is
 * killed by -9 at random instants; what was killed is run again until it succeeds. After each verb every
 * acknowledged write has to be on the side that rules, once.
 */
export async function killMigrations(init: KillRunInit): Promise<KillReport> {
  const run = new KillRun(init);
  const { rounds = Number.POSITIVE_INFINITY, kills = Number.POSITIVE_INFINITY } = init;
  while (
    run.rounds < rounds &&
    run.killed < kills &&
    run.faults.length < 5 &&
    !init.signal?.aborted
  ) {
    await run.round();
    init.say?.(`round ${run.rounds}, ${run.killed} kills, ${run.faults.length} faults`);
  }
  return run.report();
}

class KillRun {
  readonly faults: string[] = [];
  rounds = 0;
  readonly #init: KillRunInit;
  readonly #random: () => number;
  readonly #kills = { runner: 0, writer: 0, server: 0 };
  readonly #at: Record<string, number> = {};
  readonly #started = performance.now();
  #acknowledged = 0;
  #failedSwitches = 0;

  constructor(init: KillRunInit) {
    this.#init = init;
    this.#random = randomFrom(init.seed);
  }

  get killed(): number {
    return this.#kills.runner + this.#kills.writer + this.#kills.server;
  }

  report(): KillReport {
    const seconds = (performance.now() - this.#started) / 1000;
    const { rounds, faults } = this;
    return {
      seed: this.#init.seed,
      rounds,
      kills: this.#kills,
      at: this.#at,
      acknowledged: this.#acknowledged,
      failedSwitches: this.#failedSwitches,
      seconds,
      faults,
    };
  }

  async round(): Promise<void> {
    this.rounds++;
    const it = await KillCase.make(this.#init.cluster, {
      pause: this.#init.pause ?? 1,
      beside: this.#init.beside?.(this.rounds),
    });
    try {
      await it.startWriters();
      await orStopped(this.#migrate(it), this.#init.signal);
    } catch (cause) {
      this.#fault(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
    } finally {
      this.#acknowledged += it.acknowledged();
      await it.end();
    }
  }

  async #migrate(it: KillCase): Promise<void> {
    await this.#until(it, "load");
    await this.#follow(it);
    if (this.#chance(0.3)) await this.#until(it, "verify");
    if (this.#chance(0.15)) return this.#abort(it);
    if (this.#chance(0.5)) await this.#failToSwitch(it);
    await this.#until(it, "cutover");
    await it.traffic("postgres");
    this.#expect("after the cutover", await it.missingForeignKeys());
    await this.#follow(it);
    if (this.#chance(0.5)) await this.#until(it, "verify");
    await it.stopWriters();
    await this.#until(it, "sync", { kills: 0, flags: ["--until", "caught-up"] });
    await this.#rules(it, "postgres");
    this.#expect("followed back", await it.differences());
    await it.startWriters();
    const back = this.#chance(0.75);
    if (back) {
      await this.#until(it, "rollback");
      await it.traffic("sqlite");
    }
    if (!back || this.#chance(0.6)) {
      await this.#until(it, "finish");
      this.#expect("finished", await it.traces());
      await it.traffic(back ? "sqlite" : "postgres");
    }
    await it.stopWriters();
    await this.#rules(it, back ? "sqlite" : "postgres");
  }

  async #abort(it: KillCase): Promise<void> {
    await this.#until(it, "abort", { flags: ["--drop-loaded"] });
    this.#expect("aborted", await it.traces());
    await it.traffic("sqlite");
    await it.stopWriters();
    await this.#rules(it, "sqlite");
  }

  /** A cutover whose switch fails once the product is in Postgres; until it is switched back by hand it is refused there. */
  async #failToSwitch(it: KillCase): Promise<void> {
    const verb = it.start("cutover", "--failing-switch");
    if (this.#chance(0.3)) await this.#killWithin(it, "cutover", verb);
    const end = await verb.ended;
    this.#expect("failing switch", await it.unaccounted());
    if (!end?.startsWith("failed SWITCH_FAILED")) return;
    this.#failedSwitches++;
    it.switchTo("sqlite");
    await it.traffic("sqlite", 5);
  }

  async #rules(it: KillCase, side: Side): Promise<void> {
    this.#expect(`${side} rules`, await it.wrongOn(side));
  }

  /** A sync that follows until it is stopped, or until what is killed ends it. */
  async #follow(it: KillCase): Promise<void> {
    for (let kills = this.#killsNow(); kills > 0; kills--) {
      const verb = it.start("sync");
      if (!(await verb.reaches(0))) throw new Error(`sync: ${await verb.ended}`);
      const victim = await this.#killOne(it, "sync", verb, this.#random() * 300);
      if (victim !== "runner") {
        // It connects again by itself, and goes on.
        await it.traffic(it.side, 5);
        verb.stop();
      }
      const end = await verb.ended;
      if (victim !== "runner" && end !== "done") this.#fault(`sync: ${end}`);
      this.#expect("sync", await it.unaccounted());
    }
  }

  /** Runs a verb, with kills, until it succeeds. */
  async #until(
    it: KillCase,
    name: Verb,
    { kills = this.#killsNow(), flags = [] as readonly string[] } = {},
  ): Promise<void> {
    let wasKilled = false;
    for (let tries = 0, left = kills; ; left--) {
      const verb = it.start(name, ...flags);
      if (left > 0) {
        wasKilled = true;
        await this.#killWithin(it, name, verb);
      } else tries++;
      const end = await verb.ended;
      const isDone =
        end === "done" || (wasKilled && end?.startsWith(DONE_BEFORE[name] ?? "failed as never"));
      if (isDone) return;
      this.#expect(`${name} killed`, await it.unaccounted());
      if (tries > 0) this.#init.say?.(`${name}: ${end}`);
      if (tries === MAX_TRIES) throw new Error(`${name} does not succeed: ${end}`);
    }
  }

  async #killWithin(it: KillCase, name: Verb, verb: RunningVerb): Promise<void> {
    const step = Math.floor(this.#random() * STEPS[name]);
    const pause = this.#random() < 0.3 ? 0 : this.#random() * 60;
    if (await verb.reaches(step)) await this.#killOne(it, name, verb, pause);
  }

  async #killOne(it: KillCase, name: Verb, verb: RunningVerb, pause: number): Promise<Victim> {
    const victim = VICTIMS[Math.floor(this.#random() * VICTIMS.length)] ?? "runner";
    const number = this.#random() < 0.5 ? 0 : 1;
    await sleep(pause);
    this.#kills[victim]++;
    const at = `${name}: ${verb.steps.at(-1)}`;
    this.#at[at] = (this.#at[at] ?? 0) + 1;
    const { cluster } = this.#init;
    if (victim === "runner") verb.kill();
    else if (victim === "writer") await it.killWriter(number);
    else {
      await (this.#random() < 0.5 ? cluster.kill() : cluster.crash());
      await cluster.startAgain();
    }
    return victim;
  }

  #killsNow(): number {
    return Math.ceil(this.#random() * (this.#init.killsAVerb ?? 2));
  }

  #chance(part: number): boolean {
    return this.#random() < part;
  }

  #expect(when: string, wrong: readonly string[]): void {
    for (const line of wrong.slice(0, 3)) this.#fault(`${when}: ${line}`);
  }

  #fault(line: string): void {
    if (this.#init.signal?.aborted) return;
    const told = `round ${this.rounds}: ${line}`;
    this.faults.push(told);
    this.#init.say?.(told);
  }
}

/** How many steps a verb has. */
const STEPS: Readonly<Record<Verb, number>> = {
  load: 12,
  sync: 1,
  verify: 2,
  cutover: 11,
  rollback: 6,
  finish: 4,
  abort: 5,
};
