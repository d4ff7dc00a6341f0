const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1000;

/** When the WAL is copied back next: after a try that could not be completed, an old reader is given a moment, and longer each time. */
export class CopyBackPace {
  #nextAt = 0;
  #retryMs = FIRST_RETRY_MS;

  get isDue(): boolean {
    return performance.now() >= this.#nextAt;
  }

  tried(completed: boolean): void {
    this.#retryMs = completed ? FIRST_RETRY_MS : Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    this.#nextAt = performance.now() + this.#retryMs;
  }
}
