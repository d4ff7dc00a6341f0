import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";

/**
 * A commit of its own: a few bytes of WAL that nothing reads, flushed as every commit is. The server takes the time: what
 * we take to hear of it depends on what else we do, which during a backup is much. INFO is sent whatever the settings say.
 */
const COMMIT = `do $$
declare started timestamptz := clock_timestamp();
begin
  perform pg_logical_emit_message(true, 'lifeboat', '');
  commit;
  raise info 'lifeboat: %', extract(epoch from clock_timestamp() - started) * 1000;
end $$`;
/** Where there is no PL/pgSQL, which can be dropped, we take the time. */
const PLAIN_COMMIT = "select pg_logical_emit_message(true, 'lifeboat', '')";
const HAS_LANGUAGE = "select from pg_language where lanname = 'plpgsql'";
/** How many commits make one figure. */
const WINDOW = 8;
const BASELINE_COMMITS = 24;
const PAUSE_MS = 20;

/** How long a commit takes on a server now, in milliseconds; measured on a connection of its own. */
export class CommitLatency {
  readonly #commit: () => Promise<number>;
  readonly #recent: number[] = [];
  readonly #all: number[] = [];
  readonly baseline: number;

  private constructor(commit: () => Promise<number>, baseline: number) {
    this.#commit = commit;
    this.baseline = baseline;
  }

  /** Measures first what it is without a backup. */
  static async start(client: pg.Client): Promise<CommitLatency> {
    const { rows } = await client.query(HAS_LANGUAGE);
    const commit = () => (rows.length > 0 ? timedByServer(client) : timedHere(client));
    const before: number[] = [];
    for (let n = 0; n < BASELINE_COMMITS; n++) {
      before.push(await commit());
      await delay(PAUSE_MS);
    }
    return new CommitLatency(commit, median(before));
  }

  /** One more commit; what the latest ones took, as a median. */
  async measure(): Promise<number> {
    const took = await this.#commit();
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

async function timedByServer(client: pg.Client): Promise<number> {
  let took: number | undefined;
  const listen = ({ message = "" }: { message?: string | undefined }) => {
    const milliseconds = /^lifeboat: ([\d.]+)$/.exec(message)?.[1];
    if (milliseconds !== undefined) took = Number(milliseconds);
  };
  client.on("notice", listen);
  try {
    await client.query(COMMIT);
  } finally {
    client.off("notice", listen);
  }
  if (took === undefined) throw new Error("the server did not say how long a commit took");
  return took;
}

async function timedHere(client: pg.Client): Promise<number> {
  const started = performance.now();
  await client.query(PLAIN_COMMIT);
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
