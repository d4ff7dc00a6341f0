import { setTimeout as delay } from "node:timers/promises";
import type { Finding, SnapshotOptions } from "@lifeboat/core";
import type pg from "pg";
import { connect, hangUp, type ServerConnection } from "../connection/connection.ts";
import { AdaptiveRate } from "./adapt-rate.ts";
import { CommitLatency } from "./commit-latency.ts";
import { Throttle } from "./throttle.ts";

/** By how much of what they took before commits may take longer under `adaptive`. */
const LATENCY_SHARE = 0.15;
const ADAPT_MS = 100;
const LOOK_BRIEFLY_MS = 250;
const ADAPTIVE_START = 16 << 20;
/** `auto` looks for so long how fast it could go, and again after so long. */
const LOOK_MS = 1_000;
const LOOK_AGAIN_MS = 60_000;
const AUTO_SHARE = 0.5;
const UNLIMITED = Number.MAX_SAFE_INTEGER;

/**
 * What `--max-rate` asks for, kept where the bytes of a backup pass: a reader that waits makes the server
 * wait. `auto` takes half of what passes without a limit; `adaptive` watches what a commit takes on the
 * primary and gives way.
 */
export class BackupRate {
  readonly #throttle: Throttle | undefined;
  readonly #kind: SnapshotOptions["maxRate"];
  readonly #ending = new AbortController();
  #steering: Promise<void> = Promise.resolve();
  #probe: pg.Client | undefined;
  #latency: CommitLatency | undefined;
  #adaptive: AdaptiveRate | undefined;
  #failure: unknown;
  #bytes = 0;
  readonly #started = performance.now();

  private constructor(kind: SnapshotOptions["maxRate"]) {
    this.#kind = kind;
    if (kind !== undefined)
      this.#throttle = new Throttle(typeof kind === "number" ? kind : UNLIMITED);
  }

  static async start(
    kind: SnapshotOptions["maxRate"],
    primary: ServerConnection,
  ): Promise<BackupRate> {
    const rate = new BackupRate(kind);
    if (kind === "auto") rate.#steer(() => rate.#halve());
    if (kind === "adaptive") {
      rate.#probe = await connect(primary);
      try {
        rate.#latency = await CommitLatency.start(rate.#probe);
      } catch (cause) {
        hangUp(rate.#probe);
        throw cause;
      }
      rate.#steer(() => rate.#adapt());
    }
    return rate;
  }

  /** Bytes as they pass, no faster than they may. */
  async *through(
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#bytes += chunk.length;
      await this.#throttle?.take(chunk.length, signal);
      yield chunk;
    }
  }

  /** Ends the watching; what came of the limit. May be called twice. */
  async end(): Promise<Finding[]> {
    this.#ending.abort();
    await this.#steering;
    if (this.#probe) hangUp(this.#probe);
    if (!this.#throttle || this.#kind === undefined) return [];
    return [effectOf(this.#kind, this.#figures(this.#throttle))];
  }

  #figures(throttle: Throttle): Figures {
    const seconds = (performance.now() - this.#started) / 1000;
    return {
      average: this.#bytes / seconds,
      waited: throttle.waitedSeconds,
      limit: throttle.rate,
      adaptive: this.#adaptive,
      latency: this.#latency,
    };
  }

  /** A probe that fails ends the backup: without it nobody would notice that the primary suffers. */
  #steer(run: () => Promise<void>): void {
    this.#steering = run().catch((cause: unknown) => {
      if (!this.#ending.signal.aborted) this.#failure = cause;
    });
  }

  async #halve(): Promise<void> {
    const throttle = this.#throttle as Throttle;
    for (;;) {
      throttle.rate = UNLIMITED;
      while (this.#bytes === 0) await this.#pause(10);
      const free = await this.#passingFor(LOOK_MS);
      if (free > 0) throttle.rate = free * AUTO_SHARE;
      await this.#pause(LOOK_AGAIN_MS);
    }
  }

  async #adapt(): Promise<void> {
    const throttle = this.#throttle as Throttle;
    const latency = this.#latency as CommitLatency;
    // While the server writes its checkpoint nothing passes that could give way.
    while (this.#bytes === 0) await this.#pause(10);
    this.#adaptive = new AdaptiveRate({
      baseline: latency.baseline,
      share: LATENCY_SHARE,
      start: ADAPTIVE_START,
      // Too brief to be felt. Without it nobody knows what a quarter is, and a backup crawls for hours where commits stay slow.
      available: await this.#passingFor(LOOK_BRIEFLY_MS),
    });
    throttle.rate = ADAPTIVE_START;
    for (;;) {
      const passing = await this.#passingFor(ADAPT_MS);
      throttle.rate = this.#adaptive.next(await latency.measure(), passing);
    }
  }

  /** Bytes a second that pass in the next so many milliseconds. */
  async #passingFor(milliseconds: number): Promise<number> {
    const { bytes, at } = { bytes: this.#bytes, at: performance.now() };
    await this.#pause(milliseconds);
    return ((this.#bytes - bytes) / (performance.now() - at)) * 1000;
  }

  async #pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#ending.signal });
  }
}

interface Figures {
  /** Bytes a second. */
  readonly average: number;
  /** Seconds. */
  readonly waited: number;
  readonly limit: number;
  readonly adaptive: AdaptiveRate | undefined;
  readonly latency: CommitLatency | undefined;
}

function effectOf(kind: SnapshotOptions["maxRate"], figures: Figures): Finding {
  const { average, waited, limit, adaptive, latency } = figures;
  const held = `${mib(average)} MiB/s on average, held up for ${waited.toFixed(1)} s`;
  const bounds =
    adaptive === undefined
      ? limit === UNLIMITED
        ? ""
        : `; the limit was ${mib(limit)} MiB/s`
      : `; the limit moved between ${mib(adaptive.lowest)} and ${mib(adaptive.highest)} MiB/s`;
  const commits =
    latency === undefined
      ? ""
      : `; a commit took ${latency.baseline.toFixed(2)} ms before and ${(latency.during ?? latency.baseline).toFixed(2)} ms during the backup (medians)`;
  return {
    id: "rate-kept",
    severity: "info",
    summary: `--max-rate ${typeof kind === "number" ? `${mib(kind)} MiB/s` : kind}: ${held}${bounds}${commits}`,
    remedy: "nothing to do",
  };
}

function mib(bytes: number): string {
  return (bytes / (1 << 20)).toFixed(1);
}
