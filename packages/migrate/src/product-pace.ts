import { setTimeout as sleep } from "node:timers/promises";

/** How a long walk works and rests, in milliseconds. */
export interface Pace {
  /** Between two looks at how the product fares, while it keeps its pace. */
  readonly calmWork: number;
  readonly calmRest: number;
  /** Between two rests that it needs. */
  readonly work: number;
  readonly longestRest: number;
  /** What was sent before a rest is still being written in its beginning. */
  readonly settling: number;
}

/** Milliseconds that go by, and waiting for some to go by. */
export interface Clock {
  now(): number;
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
};

const USUAL: Pace = {
  calmWork: 1_500,
  calmRest: 150,
  work: 200,
  longestRest: 2_000,
  settling: 50,
};

/** What a product loses of its writes over the whole walk: a little less than the tenth that it may lose. */
const SHARE_TO_LOSE = 0.07;
/** Less than this can't be told from what a product does anyway. */
const WORTH_RESTING = 0.1;
/** By so many standard deviations of a count must the two rates differ: chance alone brings that once in a thousand looks. */
const DEVIATIONS = 3;
/** What is left of the weight of earlier looks with each new one. */
const FADING = 0.7;

/** Writes within some time. */
interface Tally {
  readonly writes: number;
  readonly seconds: number;
}

const NOTHING: Tally = { writes: 0, seconds: 0 };

/**
 * Rests between the reads of a long walk where the product would else lose more than a tenth of its writes: one that
 * commits as fast as it can waits for the same disk as Postgres does, and was left with a third. How fast it writes is seen
 * from its own log of changes, at work and at rest; a product that keeps its pace, or that nobody uses, is not rested for.
 */
export class ProductPace {
  readonly #written: () => bigint;
  readonly #pace: Pace;
  readonly #clock: Clock;
  #atWork = NOTHING;
  #atRest = NOTHING;
  #work: number;
  #rest: number;
  #since: number;
  #writtenThen: bigint;
  #restedMs = 0;

  /** @param written how much the product has written so far: a number that only grows */
  constructor(written: () => bigint, { pace = USUAL, clock = CLOCK } = {}) {
    this.#written = written;
    this.#pace = pace;
    this.#clock = clock;
    this.#since = clock.now();
    this.#writtenThen = written();
    // The first look comes soon: a short walk is over before it can be learned what it costs.
    this.#work = pace.work;
    this.#rest = pace.calmRest;
  }

  /** How long it rested in all. */
  get restedSeconds(): number {
    return this.#restedMs / 1000;
  }

  /**
   * Rests as long as the product needs it; mostly not at all. To be called where no snapshot is held.
   * @throws the signal's reason
   */
  async between(signal: AbortSignal): Promise<void> {
    const { now, sleep } = this.#clock;
    const started = now();
    if (started - this.#since < this.#work) return;
    if (this.#written() === this.#writtenThen) {
      this.#since = started;
      return;
    }
    await sleep(this.#pace.settling, signal);
    this.#atWork = faded(this.#atWork, this.#tally());
    await sleep(this.#rest, signal);
    this.#atRest = faded(this.#atRest, this.#tally());
    this.#restedMs += now() - started;
    this.#choose();
  }

  #tally(): Tally {
    const [now, written] = [this.#clock.now(), this.#written()];
    const tally = {
      writes: Number(written - this.#writtenThen),
      seconds: (now - this.#since) / 1000,
    };
    this.#since = now;
    this.#writtenThen = written;
    return tally;
  }

  #choose(): void {
    const { calmWork, calmRest, work, longestRest, settling } = this.#pace;
    const lost = lostShare(this.#atWork, this.#atRest);
    if (lost < WORTH_RESTING) {
      this.#work = calmWork;
      this.#rest = calmRest;
      return;
    }
    const stretch = work + settling;
    this.#work = work;
    this.#rest = Math.min(longestRest, (stretch * lost) / SHARE_TO_LOSE - stretch);
  }
}

/** What the product loses of its writes at work; 0 where that may be chance. */
function lostShare(atWork: Tally, atRest: Tally): number {
  const [work, rest] = [rate(atWork), rate(atRest)];
  const deviation = Math.sqrt(work / atWork.seconds + rest / atRest.seconds);
  return rest - work > DEVIATIONS * deviation ? 1 - work / rest : 0;
}

function rate({ writes, seconds }: Tally): number {
  return writes / seconds;
}

function faded(before: Tally, added: Tally): Tally {
  return {
    writes: before.writes * FADING + added.writes,
    seconds: before.seconds * FADING + added.seconds,
  };
}
