import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import type { Lsn } from "./lsn.ts";
import { IDENTITY_BYTES } from "./segment-identity.ts";
import { logName, segmentAt, segmentName, segmentStart } from "./segment-name.ts";
import { partName } from "./segment-part.ts";

export interface SegmentStoreInit {
  readonly folder: DatabaseFolder;
  readonly timeline: number;
  readonly segmentBytes: number;
  /** The first byte of a segment. */
  readonly start: Lsn;
  /** What an earlier run has shipped: parts, which are removed when a longer one or the whole is stored. */
  readonly shipped?: { readonly upTo: Lsn; readonly parts: readonly string[] } | undefined;
  /** Called with what storing a segment threw; none is stored after it. */
  onFailure(reason: unknown): void;
}

/**
 * Cuts a stream of WAL into segments and stores each in the repository when it is whole, one after
 * the other; when asked to, also what there is of the one under way. What is still growing is held in
 * memory: one segment, and those that wait to be stored.
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
  /** Up to here everything is stored or waits to be. */
  #asked: Lsn;
  /** Parts that a longer one has made needless. */
  readonly #stale: Set<string>;

  constructor(init: SegmentStoreInit) {
    this.#init = init;
    const { start, shipped } = init;
    this.durable = shipped && shipped.upTo > start ? shipped.upTo : start;
    this.#asked = this.durable;
    this.#stale = new Set(shipped?.parts);
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

  /** The end of what was taken. */
  get received(): Lsn {
    return segmentStart(this.#number, this.#init.segmentBytes) + BigInt(this.#filled);
  }

  /**
   * Stores what there is of the segment under way, where it has grown. Resolves when it, and all
   * before it, is durable. @throws what storing threw
   */
  shipPart(): Promise<void> {
    const { folder, timeline, segmentBytes } = this.#init;
    const end = this.received;
    if (end <= this.#asked || this.#filled < IDENTITY_BYTES) return this.#stored;
    this.#asked = end;
    // What has been taken of a segment is never changed, so a view of it is enough.
    const bytes = this.#segment.subarray(0, this.#filled);
    const name = partName(segmentName(timeline, this.#number, segmentBytes), bytes.length);
    return this.#enqueue(async () => {
      await folder.storeLog(name, () => once(bytes));
      this.durable = end;
      await this.#removeStale();
      this.#stale.add(name);
    });
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
    this.#enqueue(async () => {
      await folder.storeLog(name, () => once(segment));
      this.pending--;
      this.durable = segmentStart(number + 1n, segmentBytes);
      await this.#removeStale();
    });
    this.#number++;
    this.#segment = Buffer.allocUnsafeSlow(segmentBytes);
    this.#filled = 0;
  }

  #enqueue(store: () => Promise<void>): Promise<void> {
    this.#stored = this.#stored.then(store);
    this.#stored.catch((reason: unknown) => this.#init.onFailure(reason));
    return this.#stored;
  }

  /** A part that stays, such as under a lock of the storage, is passed over by every reader, and tried again. */
  async #removeStale(): Promise<void> {
    for (const name of this.#stale) {
      try {
        await this.#init.folder.removeLog(name);
        this.#stale.delete(name);
      } catch (thrown) {
        if (!(thrown instanceof LifeboatError)) throw thrown;
      }
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
