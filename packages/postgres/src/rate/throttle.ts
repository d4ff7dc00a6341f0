import { setTimeout as delay } from "node:timers/promises";

/** What may pass at once after a pause: a tenth of a second's worth. */
const BURST_SECONDS = 0.1;

/** A token bucket: bytes pass at a rate, whoever asks. Shared by workers, it bounds them together. */
export class Throttle {
  #rate: number;
  /** When everything that was let pass has been paid for; in milliseconds of `performance.now()`. */
  #paid = 0;
  #waited = 0;

  /** @param rate bytes a second */
  constructor(rate: number) {
    this.#rate = rate;
  }

  get rate(): number {
    return this.#rate;
  }

  /** Holds from what is asked for next. */
  set rate(rate: number) {
    this.#rate = rate;
  }

  /** Seconds that everybody together was held up. */
  get waitedSeconds(): number {
    return this.#waited / 1000;
  }

  /** Resolves when so many bytes may pass. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const from = Math.max(this.#paid, now - BURST_SECONDS * 1000);
    this.#paid = from + (bytes / this.#rate) * 1000;
    const wait = this.#paid - now;
    if (wait <= 0) return;
    this.#waited += wait;
    await delay(wait, undefined, { signal });
  }
}
