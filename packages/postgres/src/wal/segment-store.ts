import type { DatabaseFolder } from "@lifeboat/core";
import type { Lsn } from "./lsn.ts";
import { logName, segmentAt, segmentName, segmentStart } from "./segment-name.ts";

export interface SegmentStoreInit {
  readonly folder: DatabaseFolder;
  readonly timeline: number;
  readonly segmentBytes: number;
  /** The first byte of a segment. */
  readonly start: Lsn;
  /** Called with what storing a segment threw; none is stored after it. */
  onFailure(reason: unknown): void;
}

/**
 * Cuts a stream of WAL into segments and stores each in the repository when it is whole, one after
 * the other. What is still growing is held in memory: one segment, and those that wait to be stored.
 */
export class SegmentStore {
  /** Up to here everything is durable in the repository. */
  durable: Lsn;
  /** Segments that are whole and not stored yet. */
  pending = 0;

  readonly #init: SegmentStoreInit;
  #number: bigint;
  #segment: Buffer;
  #filled = 0;
  #stored: Promise<void> = Promise.resolve();

  constructor(init: SegmentStoreInit) {
    this.#init = init;
    this.durable = init.start;
    this.#number = segmentAt(init.start, init.segmentBytes);
    this.#segment = Buffer.allocUnsafeSlow(init.segmentBytes);
  }

  /** Takes the next bytes. Storing goes on behind. */
  take(bytes: Uint8Array): void {
    const { segmentBytes } = this.#init;
    for (let taken = 0; taken < bytes.length; ) {
      const part = bytes.subarray(taken, taken + segmentBytes - this.#filled);
      this.#segment.set(part, this.#filled);
      this.#filled += part.length;
      taken += part.length;
      if (this.#filled === segmentBytes) this.#close();
    }
  }

  /** Resolves when all whole segments so far are stored. @throws what storing one threw */
  settled(): Promise<void> {
    return this.#stored;
  }

  #close(): void {
    const { folder, timeline, segmentBytes } = this.#init;
    const [segment, number] = [this.#segment, this.#number];
    const name = logName(segmentName(timeline, number, segmentBytes));
    this.pending++;
    this.#stored = this.#stored.then(async () => {
      await folder.storeLog(name, () => once(segment));
      this.pending--;
      this.durable = segmentStart(number + 1n, segmentBytes);
    });
    this.#stored.catch((reason: unknown) => this.#init.onFailure(reason));
    this.#number++;
    this.#segment = Buffer.allocUnsafeSlow(segmentBytes);
    this.#filled = 0;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
