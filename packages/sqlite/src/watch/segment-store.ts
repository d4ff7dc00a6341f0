import { type DatabaseFolder, LifeboatError, reasonOf } from "@lifeboat/core";
import { formatLogName } from "../log/name.ts";
import type { PendingSegment, SegmentSeat } from "./pending-segment.ts";
import { waitFor } from "./wait-for.ts";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/**
 * Up to so many bytes of frames are packed in one thread: a second of a busy product, which is done in a tenth of one. A transaction
 * of hundreds of megabytes is to be stored before the next one comes.
 */
const UNHURRIED_BYTES = 32 << 20;

/** A storage that does not take a segment, since when, and why. */
export interface StoreFault {
  readonly since: Date;
  readonly reason: string;
}

/** Stores the segments of a lineage one after the other, each tied to the one before. */
export class SegmentStore {
  readonly #folder: DatabaseFolder;
  readonly #unhurried: DatabaseFolder;
  #seat: SegmentSeat;
  #fault: StoreFault | undefined;
  #storing: PendingSegment | undefined;

  /** @param seat of the next segment */
  constructor(folder: DatabaseFolder, seat: SegmentSeat) {
    this.#folder = folder;
    this.#unhurried = folder.unhurried();
    this.#seat = seat;
  }

  get lineage(): string {
    return this.#seat.lineage;
  }

  /** The number of the last segment that is stored; 0 before the first. */
  get stored(): number {
    return this.#seat.number - 1;
  }

  /** What keeps segments from being stored now. */
  get fault(): StoreFault | undefined {
    return this.#fault;
  }

  /** The segment that is being stored; its frames may still be read from the WAL. */
  get storing(): PendingSegment | undefined {
    return this.#storing;
  }

  /**
   * Stores a segment and resolves with its name when it is durable. Tries until it succeeds or `signal`
   * aborts: a storage that is away is not a reason to lose the log.
   * @throws LifeboatError `LOG_OBJECT_DIFFERS` when another watch ships the same lineage
   */
  async store(segment: PendingSegment, signal: AbortSignal): Promise<string> {
    const seat = this.#seat;
    const { lineage, number } = seat;
    const span = { first: number, last: number, instant: segment.instant };
    const name = formatLogName({ lineage, ...span, kind: "frames" });
    const { content, note } = segment.sealed(seat);
    this.#storing = segment;
    try {
      const folder = segment.bytes > UNHURRIED_BYTES ? this.#folder : this.#unhurried;
      await this.#untilStored(name, { folder, content, note }, signal);
    } finally {
      this.#storing = undefined;
    }
    this.#seat = { lineage, number: number + 1, before: note().chain.after };
    segment.release();
    return name;
  }

  async #untilStored(
    name: string,
    { folder, content, note }: ReturnType<PendingSegment["sealed"]> & { folder: DatabaseFolder },
    signal: AbortSignal,
  ): Promise<void> {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      try {
        await folder.storeLog(name, content, () => ({ ...note() }));
        this.#fault = undefined;
        return;
      } catch (thrown) {
        if (thrown instanceof LifeboatError && thrown.code === "LOG_OBJECT_DIFFERS") throw thrown;
        this.#fault = { since: this.#fault?.since ?? new Date(), reason: reasonOf(thrown) };
        if (signal.aborted) throw thrown;
      }
      await waitFor(wait, signal);
    }
  }
}
