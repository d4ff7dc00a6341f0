/** So many of the latest are kept: some hours of a busy database. */
const KEPT = 10_000;

/** How long writers were kept out, in milliseconds, by each controlled checkpoint. */
export class GateTimes {
  readonly #latest: number[] = [];
  #count = 0;
  #worst = 0;

  add(milliseconds: number): void {
    this.#count += 1;
    this.#worst = Math.max(this.#worst, milliseconds);
    this.#latest[this.#count % KEPT] = milliseconds;
  }

  /** The percentiles are of the latest ones, the worst is of all. */
  summary(): {
    readonly count: number;
    readonly p50: number;
    readonly p99: number;
    readonly worst: number;
  } {
    const sorted = Object.values(this.#latest).sort((a, b) => a - b);
    const share = (of: number) => rounded(sorted[Math.floor(of * (sorted.length - 1))] ?? 0);
    return { count: this.#count, p50: share(0.5), p99: share(0.99), worst: rounded(this.#worst) };
  }
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
