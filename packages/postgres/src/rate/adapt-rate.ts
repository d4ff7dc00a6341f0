/** A rate that gives way when commits get slower, and takes what is free when they do not. */
export class AdaptiveRate {
  readonly #baseline: number;
  readonly #share: number;
  #rate: number;
  #fastest: number;
  lowest: number;
  highest: number;

  /**
   * @param baseline what a commit takes without a backup, in milliseconds
   * @param share by how much of that it may take longer
   * @param start bytes a second to begin with
   * @param available bytes a second that passed without a limit
   */
  constructor(init: { baseline: number; share: number; start: number; available: number }) {
    this.#baseline = init.baseline;
    this.#share = init.share;
    this.#rate = init.start;
    this.#fastest = init.available;
    this.lowest = init.start;
    this.highest = init.start;
  }

  /**
   * The rate to go on with. Falls fast and rises slowly, so that it settles below where it hurts; never
   * below a quarter of the most that passed, since a backup that takes for ever is none.
   * @param latency what a commit takes now, in milliseconds
   * @param passing bytes a second that really pass
   */
  next(latency: number, passing: number): number {
    this.#fastest = Math.max(this.#fastest, passing);
    const bound = this.#baseline * (1 + this.#share);
    const wanted = this.#rate * (latency > bound ? FALL : RISE);
    const floor = Math.max(LEAST_RATE, this.#fastest * LEAST_SHARE);
    // What does not pass needs no higher limit.
    const ceiling = Math.max(floor, passing * HEADROOM, this.#rate);
    this.#rate = Math.min(Math.max(wanted, floor), ceiling);
    this.lowest = Math.min(this.lowest, this.#rate);
    this.highest = Math.max(this.highest, this.#rate);
    return this.#rate;
  }
}

const FALL = 0.7;
const RISE = 1.15;
const LEAST_RATE = 1 << 20;
const LEAST_SHARE = 0.25;
const HEADROOM = 2;
