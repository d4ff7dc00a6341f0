import { type SegmentNote, wrongLogObject } from "./note.ts";

/**
 * Commits, ascending: behind so many frames one that leaves so many pages, two numbers each. A long log has millions, and objects
 * would take ten times as much.
 */
export type Commits = Uint32Array;

/** What is named of an object's frames elsewhere: in a manifest, or in its note. */
export interface NamedCommits {
  /** To name in errors. */
  readonly object: string;
  /** One at least. */
  readonly commits: Commits;
  /** Whether frames may follow the last of them: then those are not wanted. */
  readonly cut: boolean;
}

/** The commits that a note names; with `upTo` those up to that frame. */
export function commitsOf({ marks }: SegmentNote, upTo?: number): Commits {
  const wanted = marks.filter(([, frames], at) => at === 0 || upTo === undefined || frames <= upTo);
  return Uint32Array.from(wanted.flatMap(([, frames, pages]) => [frames, pages]));
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
    const frames = commits[this.#next];
    if (frames === undefined) {
      if (cut) return false;
      throw wrongLogObject(object, `goes on behind the ${this.#frames - 1} frames it should have`);
    }
    if (this.#frames < frames) return true;
    if (pages !== commits[this.#next + 1])
      throw wrongLogObject(
        object,
        `has no commit of ${commits[this.#next + 1]} pages at frame ${frames}, where one is named`,
      );
    this.#next += 2;
    return true;
  }

  /** @throws LifeboatError `LOG_OBJECT_INVALID` when there were fewer */
  end(): void {
    const { object, commits } = this.#named;
    if (this.#next < commits.length)
      throw wrongLogObject(
        object,
        `has ${this.#frames} frames, and not the ${commits.at(-2)} that are named`,
      );
  }
}
