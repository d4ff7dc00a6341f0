import { Hole } from "./hole.ts";

/** A WAL that is just being begun anew is found at the next look. */
const MOST_UNREAD = 20;

/** One look at the WAL. */
export interface Look {
  /** When it began, in milliseconds since 1970. */
  readonly at: number;
  /** Committed frames by the WAL's index; negative where it could not be asked. */
  readonly logged: number;
  /** Committed frames that were found. */
  readonly read: number;
}

/** Whether looks at a WAL find all that its index calls committed. What they do not find, look after look, can never be shipped. */
export class ReadingToEnd {
  #unread = 0;
  #isWhole = false;
  #wholeAt: number | undefined;

  /** Whether the last look was told what is committed, and found it. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** All that was committed before this instant was found; undefined where that is not known. */
  get wholeAt(): number | undefined {
    return this.#wholeAt;
  }

  /** @throws Hole where look after look finds less than is there */
  looked({ at, logged, read }: Look): void {
    this.#isWhole = logged === 0 || logged === read;
    // Nothing was told then, and what was known before is as true as it was.
    if (logged < 0) return;
    this.#wholeAt = this.#isWhole ? at : undefined;
    this.#unread = this.#isWhole ? 0 : this.#unread + 1;
    if (this.#unread > MOST_UNREAD) throw unreadable();
  }
}

export function unreadable(): Hole {
  return new Hole("the WAL holds commits that cannot be read");
}
