import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WatchNotes } from "@lifeboat/core";
import { execa } from "execa";
import type { WatchFacts } from "../../packages/sqlite/src/watch/watch-facts.ts";
import { makeLedger } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { lineageOf, restoreByHand } from "../support/sqlite-watch.ts";
import { Crowd } from "./crowd.ts";
import { makeRoomForCrowd } from "./crowd-scene.ts";
import { GrowingLedger } from "./growing-ledger.ts";
import { oneOf } from "./one-of.ts";
import { dueAt, prefixOf } from "./sqlite-prefix.ts";

export interface EpochInit {
  readonly folder: string;
  readonly rate: string;
  readonly pageSize: number;
  readonly random: () => number;
  /** Running processes, for whoever has to end them. */
  readonly started: Set<ChildProcess>;
}

/**
 * One database's life under kills: a writer with a ledger and a watch, killed at random instants in any order, among
 * everything that an app does to its file.
 */
export class Epoch {
  readonly kills: Record<string, number> = {};
  readonly #init: EpochInit;
  readonly #app: SqliteApp;
  readonly #ledger: GrowingLedger;
  readonly #copy: string;
  readonly #crowd: Crowd;
  /** Of the watch that runs, once it had begun to ship. */
  #holes = 0;
  #writer: ChildProcess;
  #watch: ChildProcess;
  #shipped = 0;

  private constructor(init: EpochInit) {
    this.#init = init;
    this.#app = new SqliteApp(init.folder, join(init.folder, "app.db"));
    this.#ledger = new GrowingLedger(join(init.folder, "ledger"));
    this.#copy = join(init.folder, "copy");
    makeLedger(this.#app.path, { pageSize: init.pageSize });
    makeRoomForCrowd(this.#app.path);
    this.#crowd = new Crowd({ ...init, path: this.#app.path });
    this.#writer = this.#startWriter();
    this.#watch = this.#startWatch();
  }

  static async begin(init: EpochInit): Promise<Epoch> {
    const epoch = new Epoch(init);
    await epoch.#isShipping();
    return epoch;
  }

  get commits(): number {
    return this.#shipped;
  }

  /** Kills, or does what an app does, then restores the latest state and that of a random instant. */
  async round(): Promise<string> {
    const { random } = this.#init;
    const weighted = Object.keys(this.#actions).flatMap((name) =>
      Array<string>(name.startsWith("kill") ? 4 : 1).fill(name),
    );
    const name = oneOf(random, weighted);
    try {
      await this.#crowd.change();
      await sleep(random() * 700);
      await this.#actions[name]?.();
      await this.#proveLatest();
      await this.#proveInstant();
      await this.#proveNoHole();
    } catch (thrown) {
      throw new Error(`after "${name}": ${thrown instanceof Error ? thrown.message : thrown}`, {
        cause: thrown,
      });
    }
    return name;
  }

  /** Ends both in order: all that was acknowledged is in the repository, for us and for sqlite3 alone. */
  async end(): Promise<readonly unknown[]> {
    await this.#crowd.leave();
    await this.#stopInOrder();
    const byHand = prefixOf(await restoreByHand(this.#app, join(this.#init.folder, "by-hand")));
    if (byHand !== this.#shipped)
      throw new Error(`by hand: ${byHand}, and ${this.#shipped} commits are there`);
    return (await this.#app.verify(true)).problems;
  }

  readonly #actions: Record<string, () => Promise<unknown>> = {
    "kill the writer": async () => {
      await this.#kill("writer", this.#writer);
      this.#writer = this.#startWriter();
    },
    "kill the watch": async () => {
      await this.#kill("watch", this.#watch);
      await sleep(this.#init.random() * 700);
      this.#watch = this.#startWatch();
      await this.#isShipping();
    },
    "kill the watch as it starts": async () => {
      await this.#kill("watch", this.#watch);
      for (let time = 0; time < 3; time++) {
        this.#watch = this.#startWatch();
        await sleep(200 + this.#init.random() * 900);
        await this.#kill("watch", this.#watch);
      }
      this.#watch = this.#startWatch();
      await this.#isShipping();
    },
    "kill both": async () => {
      await Promise.all([this.#kill("watch", this.#watch), this.#kill("writer", this.#writer)]);
      this.#writer = this.#startWriter();
      this.#watch = this.#startWatch();
      await this.#isShipping();
    },
    "kill a backup beside the watch": async () => {
      const backup = this.#start("sqlite-run.ts", [this.#init.folder, this.#app.path, "backup"]);
      await sleep(300 + this.#init.random() * 900);
      await this.#kill("backup", backup);
    },
    "a backup beside the watch": () =>
      this.#app.backup(
        new AbortController().signal,
        oneOf(this.#init.random, ["full", "incremental"]),
      ),
    "close the app last": async () => {
      await this.#stopWriter();
      await sleep(this.#init.random() * 300);
      this.#writer = this.#startWriter();
    },
    "the app closes last while nothing watches": async () => {
      await this.#kill("watch", this.#watch);
      await this.#stopWriter();
      this.#writer = this.#startWriter();
      this.#watch = this.#startWatch();
      await this.#isShipping();
    },
    "stop both: nothing is missing": async () => {
      await this.#stopInOrder();
      this.#writer = this.#startWriter();
      this.#watch = this.#startWatch();
      await this.#isShipping();
    },
    "create and drop": () =>
      this.#sql("DROP TABLE IF EXISTS other; CREATE TABLE other AS SELECT * FROM ledger"),
    "a spilled transaction that is rolled back": () => this.#bystander("spill"),
    "a long read": () => this.#bystander("read"),
    "checkpoints without an end": () => this.#bystander("checkpoint"),
  };

  async #proveLatest(): Promise<void> {
    const newest = await this.#restored();
    if (newest < this.#shipped)
      throw new Error(`${newest} commits are there, and ${this.#shipped} were before`);
    this.#shipped = newest;
  }

  async #proveInstant(): Promise<void> {
    const { random } = this.#init;
    const { folder, manifests } = await this.#app.manifests();
    const { from, to } = oneOf(random, (await this.#app.engine.reach(folder, manifests)).windows);
    const at = Date.parse(from) + random() * (Date.parse(to) - Date.parse(from));
    const then = await this.#restored(new Date(at));
    const ledger = await this.#ledger.all();
    // The one before was acknowledged before the newest was begun.
    const before = ledger.find(([seq]) => seq === then - 1);
    if (before && before[1] > at + 1) throw new Error(`${then} is from after ${at}`);
    const due = dueAt(ledger, at);
    if (then < due) throw new Error(`${then} of the ${due} commits that ${at} should have`);
  }

  /** Whatever the others do: what a watch ships has a hole only where it did not run. */
  async #proveNoHole(): Promise<void> {
    const { holes, holeCount } = ((await this.#note())?.facts ?? {}) as Partial<WatchFacts>;
    if (holeCount !== undefined && holeCount !== this.#holes)
      throw new Error(`the log has a hole while it was watched: ${holes?.at(-1)}`);
  }

  async #stopInOrder(): Promise<void> {
    await this.#stopWriter();
    const code = await stop(this.#watch, "SIGTERM");
    const newest = await this.#restored();
    const [last] = (await this.#ledger.all()).at(-1) ?? [0];
    const isTold = code !== 0 && (await this.#note())?.facts.state === "beginning";
    if (!isTold && (code !== 0 || newest !== last))
      throw new Error(`stopped with ${code}, ${newest} of ${last} commits are there`);
    this.#shipped = newest;
  }

  async #stopWriter(): Promise<void> {
    const { exitCode, signalCode } = this.#writer;
    if (exitCode !== null || signalCode !== null)
      throw new Error(`the writer ended with ${exitCode ?? signalCode}`);
    const gone = once(this.#writer, "exit");
    this.#writer.stdin?.end();
    await gone;
  }

  async #kill(what: string, child: ChildProcess): Promise<void> {
    this.kills[what] = (this.kills[what] ?? 0) + 1;
    await stop(child, "SIGKILL");
  }

  async #bystander(behaviour: string): Promise<void> {
    const child = this.#start("sqlite-bystander.ts", [this.#app.path, behaviour]);
    await sleep(300 + this.#init.random() * 1000);
    await this.#kill("bystander", child);
  }

  /** Busy, it gives up: then nothing was done. */
  #sql(statement: string): Promise<unknown> {
    return execa("sqlite3", ["-cmd", ".timeout 5000", this.#app.path, statement], {
      reject: false,
    });
  }

  #startWriter(): ChildProcess {
    return this.#start("sqlite-writer.ts", [
      `--database=${this.#app.path}`,
      `--ledger=${this.#ledger.path}`,
      `--rate=${this.#init.rate}`,
      "--journal=wal",
    ]);
  }

  /** Merging at every turn, since it seldom lives for a minute. */
  #startWatch(): ChildProcess {
    return this.#start("sqlite-watch-process.ts", [
      `--database=${this.#app.path}`,
      `--repository=${join(this.#init.folder, "repository")}`,
      `--state=${join(this.#init.folder, "memory")}`,
      "--compact-ms=1000",
    ]);
  }

  #start(script: string, flags: readonly string[]): ChildProcess {
    const { started } = this.#init;
    const program = fileURLToPath(new URL(`../support/${script}`, import.meta.url));
    const child = spawn(process.execPath, [program, ...flags], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    started.add(child);
    child.once("exit", () => started.delete(child));
    return child;
  }

  /** Resolves once the watch that runs has a backup that its lineage starts from. */
  async #isShipping(): Promise<void> {
    // By looks and not by the clock: all of it may stand still meanwhile.
    for (let look = 0; look < 6000; look++) {
      const { manifests } = await this.#app.manifests();
      const note = await this.#note();
      const begun = manifests.map(({ details }) => lineageOf(details));
      const { lineage, state, holeCount = 0 } = (note?.facts ?? {}) as Partial<WatchFacts>;
      if (note?.alive && state === "shipping" && begun.includes(lineage)) {
        this.#holes = holeCount;
        return;
      }
      if (this.#watch.exitCode !== null)
        throw new Error(`the watch ended with ${this.#watch.exitCode}`);
      await sleep(50);
    }
    throw new Error("the watch did not begin to ship in 6000 looks");
  }

  /** What the watch said last. */
  async #note() {
    const { folder } = await this.#app.manifests();
    return new WatchNotes(join(this.#init.folder, "memory")).read(folder);
  }

  async #restored(at?: Date): Promise<number> {
    await rm(this.#copy, { recursive: true, force: true });
    const target = at
      ? ({ kind: "time", at, exclusive: false } as const)
      : ({ kind: "latest" } as const);
    const { path } = await this.#app.restore(this.#copy, { target });
    return prefixOf(path);
  }
}

export async function stop(child: ChildProcess, how: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = once(child, "exit");
  child.kill(how);
  return (await gone)[0] as number | null;
}
