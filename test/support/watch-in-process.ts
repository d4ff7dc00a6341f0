import { join } from "node:path";
import { Repository, RepositoryMemory, type Storage, WatchNotes, watch } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { expect, onTestFinished } from "vitest";
import type { WatchLimits } from "../../packages/sqlite/src/watch/limits.ts";
import type { WatchFacts } from "../../packages/sqlite/src/watch/watch-facts.ts";

export interface WatchInit {
  readonly folder: string;
  readonly storage: Storage;
  readonly databases: readonly { readonly name: string; readonly path: string }[];
  readonly limits?: Partial<WatchLimits>;
}

/** A watch of some databases in this process, over a storage that a test has its hands on. It ends with the test. */
export class WatchInProcess {
  readonly repository: Repository;
  readonly state: string;
  /** Settles once it has ended. */
  readonly ended: Promise<unknown>;
  /** What it said so far. */
  readonly said: readonly string[];
  readonly #stop: AbortController;

  private constructor(init: {
    repository: Repository;
    state: string;
    ended: Promise<unknown>;
    said: readonly string[];
    stop: AbortController;
  }) {
    this.repository = init.repository;
    this.state = init.state;
    this.ended = init.ended;
    this.said = init.said;
    this.#stop = init.stop;
  }

  /** Starts one, and waits until each lineage has begun. */
  static async start(init: WatchInit): Promise<WatchInProcess> {
    const started = await WatchInProcess.begin(init);
    for (const { name } of init.databases)
      await expect.poll(async () => (await started.facts(name))?.state).toBe("shipping");
    return started;
  }

  /** Starts one. */
  static async begin(init: WatchInit): Promise<WatchInProcess> {
    const { folder, storage, databases, limits = {} } = init;
    const state = join(folder, "memory");
    const repository = await Repository.open({
      ...{ storage, app: "product", compression: { level: 1, logLevel: 1 }, mode: "write" },
      memory: new RepositoryMemory(state),
    });
    // However slow the machine: what a test asks for is the rest, and not how soon it comes.
    const watchLimits = { graceMs: 60_000, ...limits };
    const engine = sqliteEngine({ databases, watchDirectory: state, watchLimits });
    const stop = new AbortController();
    const notes = new WatchNotes(state);
    const said: string[] = [];
    const log = (line: string) => void said.push(line);
    const ended = watch({ repository, engine, notes, log, signal: stop.signal });
    ended.catch(() => {});
    onTestFinished(() => stop.abort());
    return new WatchInProcess({ repository, state, ended, said, stop });
  }

  async facts(name = "app"): Promise<WatchFacts | undefined> {
    const note = await new WatchNotes(this.state).read(this.repository.folder("sqlite", name));
    return note?.facts as WatchFacts | undefined;
  }

  /** Tells it to end; see `ended`. */
  stop(): void {
    this.#stop.abort(new Error("stopped"));
  }
}
