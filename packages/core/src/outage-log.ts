/** After the first word the next one comes a minute later, then each time twice as long after, up to an hour. */
const FIRST_AGAIN_MS = 60_000;
const LONGEST_AGAIN_MS = 3_600_000;

export interface Outage {
  /** When it began; the first word's instant when left out. */
  readonly since?: Date | undefined;
  /** Why. */
  readonly reason: string;
  /** What the watch does meanwhile, and what waits. */
  readonly meanwhile: string;
}

/** How it is told what does not happen, and that it happens again. */
export interface OutageWords {
  readonly stopped: string;
  readonly again: string;
}

const SHIPPING: OutageWords = { stopped: "nothing is shipped", again: "shipping again" };

/**
 * What a watch says while it cannot ship: once when that begins, again at intervals that grow, and once when it is
 * over. A log that says nothing leaves whoever reads it to think that all is well; one line a try hides all else.
 */
export class OutageLog {
  readonly #what: string;
  readonly #say: (line: string) => void;
  readonly #now: () => number;
  readonly #words: OutageWords;
  #since: number | undefined;
  #againAt = 0;
  #againMs = FIRST_AGAIN_MS;

  /** @param what is shipped, to begin each line with */
  constructor(
    what: string,
    say: (line: string) => void,
    now: () => number = Date.now,
    words = SHIPPING,
  ) {
    this.#what = what;
    this.#say = say;
    this.#now = now;
    this.#words = words;
  }

  /** Whether the last word was that it cannot. */
  get isOut(): boolean {
    return this.#since !== undefined;
  }

  /** To be called as often as it is looked at. */
  failing({ since, reason, meanwhile }: Outage): void {
    const now = this.#now();
    if (this.#since === undefined) {
      this.#since = since?.getTime() ?? now;
      this.#againMs = FIRST_AGAIN_MS;
      this.#say(
        `${this.#what}: ${this.#words.stopped} since ${this.#sinceText()}: ${reason}; ${meanwhile}`,
      );
    } else if (now < this.#againAt) return;
    else {
      this.#againMs = Math.min(this.#againMs * 2, LONGEST_AGAIN_MS);
      this.#say(
        `${this.#what}: still ${this.#words.stopped}, for ${span(now - this.#since)} now: ${reason}; ${meanwhile}`,
      );
    }
    this.#againAt = now + this.#againMs;
  }

  /** @param loss what was lost meanwhile; nothing when left out */
  working(loss?: string): void {
    if (this.#since === undefined) return;
    const lasted = span(this.#now() - this.#since);
    const lost = loss === undefined ? "nothing is lost" : `there is a hole: ${loss}`;
    this.#say(
      `${this.#what}: ${this.#words.again} after ${lasted} (since ${this.#sinceText()}); ${lost}`,
    );
    this.#since = undefined;
  }

  #sinceText(): string {
    return new Date(this.#since ?? 0).toISOString();
  }
}

function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
