import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";

/** A commit of its own: a few bytes of WAL that nothing reads, flushed as every commit is. */
const COMMIT = "select pg_logical_emit_message(true, 'lifeboat', '')";
/** How many commits make one figure. */
const WINDOW = 8;
const BASELINE_COMMITS = 24;
const PAUSE_MS = 20;

/** How long a commit takes on a server now, in milliseconds; measured on a connection of its own. */
export class CommitLatency {
  readonly #client: pg.Client;
  readonly #recent: number[] = [];
  readonly #all: number[] = [];
  readonly baseline: number;

  private constructor(client: pg.Client, baseline: number) {
    this.#client = client;
    this.baseline = baseline;
  }

  /** Measures first what it is without a backup. */
  static async start(client: pg.Client): Promise<CommitLatency> {
    const before: number[] = [];
    for (let n = 0; n < BASELINE_COMMITS; n++) {
      before.push(await commit(client));
      await delay(PAUSE_MS);
    }
    return new CommitLatency(client, median(before));
  }

  /** One more commit; what the latest ones took, as a median. */
  async measure(): Promise<number> {
    const took = await commit(this.#client);
    this.#all.push(took);
    this.#recent.push(took);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    return median(this.#recent);
  }

  /** Over the whole backup; null when nothing was measured. */
  get during(): number | null {
    return this.#all.length === 0 ? null : median(this.#all);
  }
}

async function commit(client: pg.Client): Promise<number> {
  const started = performance.now();
  await client.query(COMMIT);
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
