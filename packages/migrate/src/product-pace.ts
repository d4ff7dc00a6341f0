import { setTimeout as sleep } from "node:timers/promises";

/** How a long walk works and rests, in milliseconds. */
export interface Pace {
  /** Between two looks at how the product fares, while it keeps its pace. */
  readonly calmWork: number;
  readonly calmRest: number;
  /** Between two rests that it needs. */
  readonly work: number;
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

const USUAL: Pace = { calmWork: 750, calmRest: 100, work: 200, settling: 50 };

/** What a product loses of its writes over the whole walk: half of the tenth that it may, since capture takes some as well. */
const SHARE_TO_LOSE = 0.05;
/** Less than this can't be told from what a product does anyway. */
const WORTH_RESTING = 0.1;
/** By so many standard deviations of a count must the two rates differ: chance alone brings that once in a thousand looks. */
const DEVIATIONS = 3;
/** What is left of the weight of earlier looks with each new one. */
const FADING = 0.7;

/** However much a product loses, the walk goes on for a thirteenth of the time. */
const LONGEST_RESTS = 12;
/** A stretch that took longer was no work but a stall, of the disk or of the server: nothing that a rest as long would make good. */
const LONGEST_STRETCH_MS = 2_000;
/** A product that wrote nothing for so long needs no more of a rest. */
const IDLE_MS = 1_000;
/**
 * What a product writes during a rest is to be brought afterwards, which costs it writes too: for a second of work no more may
 * come together than is brought in about another: some hundred thousand rows where Postgres has no indexes yet.
 */
const BROUGHT_A_SECOND = 80_000;

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
    const work = this.#tally();
    this.#atWork = faded(this.#atWork, work);
    await this.#restWhileWritten(signal);
    this.#atRest = faded(this.#atRest, this.#tally());
    this.#restedMs += now() - started;
    this.#choose(work.seconds * 1000);
  }

  async #restWhileWritten(signal: AbortSignal): Promise<void> {
    for (let left = this.#rest; left > 0; left -= IDLE_MS) {
      const before = this.#written();
      await this.#clock.sleep(Math.min(left, IDLE_MS), signal);
      if (left > IDLE_MS && this.#written() === before) return;
    }
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

  /** @param stretchMs how long the last work took: a step of it may have been a long one */
  #choose(stretchMs: number): void {
    const { calmWork, calmRest, work } = this.#pace;
    const lost = lostShare(this.#atWork, this.#atRest);
    if (lost < WORTH_RESTING) {
      this.#work = calmWork;
      this.#rest = calmRest;
      return;
    }
    const rests = Math.min(
      LONGEST_RESTS,
      lost / SHARE_TO_LOSE - 1,
      BROUGHT_A_SECOND / rate(this.#atRest),
    );
    this.#work = work;
    this.#rest = rests * Math.min(stretchMs, LONGEST_STRETCH_MS);
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
