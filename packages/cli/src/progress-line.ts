import type { Progress } from "@lifeboat/core";
import { inOneLine } from "./printable.ts";
import { duration, size } from "./show/units.ts";

/** What the reports of one step add up to, as words: bytes, rate, time left, and what is happening. */
export class ProgressLine {
  readonly #startedAt: number;
  readonly #now: () => number;
  #latest: Progress = {};

  /** @param now milliseconds that only grow */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAt = now();
  }

  /** A report replaces what it names; the rest stays. */
  take(progress: Progress): void {
    this.#latest = { ...this.#latest, ...progress };
  }

  text(): string {
    const { bytes, totalBytes, note } = this.#latest;
    const words: string[] = [];
    if (bytes !== undefined) {
      words.push(totalBytes ? `${size(bytes)} of ${size(totalBytes)}` : size(bytes));
      words.push(...this.#pace(bytes, totalBytes));
    }
    if (note) words.push(inOneLine(note));
    return words.join(", ");
  }

  /** Seconds since the step began. */
  seconds(): number {
    return (this.#now() - this.#startedAt) / 1000;
  }

  #pace(bytes: number, totalBytes: number | undefined): string[] {
    const rate = bytes / this.seconds();
    // In the first half second a rate says nothing yet.
    if (this.seconds() < 0.5 || bytes === 0) return [];
    const pace = [`${size(rate)}/s`];
    if (totalBytes !== undefined && totalBytes > bytes)
      pace.push(`${duration((totalBytes - bytes) / rate)} left`);
    return pace;
  }
}
