import { type SegmentNote, wrongLogObject } from "./note.ts";

export interface Commit {
  readonly frames: number;
  /** Of the database after it. */
  readonly pages: number;
}

/** What is named of an object's frames elsewhere: in a manifest, or in its note. */
export interface NamedCommits {
  /** To name in errors. */
  readonly object: string;
  /** Ascending: behind so many frames a commit that leaves so many pages. */
  readonly commits: readonly [Commit, ...Commit[]];
  /** Whether frames may follow the last of them: then those are not wanted. */
  readonly cut: boolean;
}

/** The commits that a note names; with `upTo` those up to that frame. */
export function commitsOf({ marks }: SegmentNote, upTo?: number): NamedCommits["commits"] {
  const [first, ...rest] = marks.map(([, frames, pages]) => ({ frames, pages }));
  const wanted = rest.filter(({ frames }) => upTo === undefined || frames <= upTo);
  return [first as Commit, ...wanted];
}

/**
 * Holds frames, as they are read, against the commits that are named: an object that is whole, and another
 * than it is said to be, would bring a state that nobody asked for.
 */
export class ExpectedCommits {
  readonly #named: NamedCommits;
  #frames = 0;
  #next = 0;

  constructor(named: NamedCommits) {
    this.#named = named;
  }

  /**
   * @param pages what the next frame says that the database has after it; 0 within a transaction
   * @returns whether the frame is still wanted
   * @throws LifeboatError `LOG_OBJECT_INVALID`
   */
  pass(pages: number): boolean {
    this.#frames += 1;
    const { object, commits, cut } = this.#named;
    const expected = commits[this.#next];
    if (!expected) {
      if (cut) return false;
      throw wrongLogObject(object, `goes on behind the ${this.#frames - 1} frames it should have`);
    }
    if (this.#frames < expected.frames) return true;
    if (pages !== expected.pages)
      throw wrongLogObject(
        object,
        `has no commit of ${expected.pages} pages at frame ${expected.frames}, where one is named`,
      );
    this.#next += 1;
    return true;
  }

  /** @throws LifeboatError `LOG_OBJECT_INVALID` when there were fewer */
  end(): void {
    const { object, commits } = this.#named;
    if (this.#next < commits.length)
      throw wrongLogObject(
        object,
        `has ${this.#frames} frames, and not the ${commits.at(-1)?.frames} that are named`,
      );
  }
}
