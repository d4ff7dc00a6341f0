import { createHash, type Hash } from "node:crypto";
import { LifeboatError, reasonOf } from "./errors.ts";
import type { ManifestObject } from "./manifest.ts";
import { type ObjectRanges, RANGE_BYTES, shortDigest } from "./object-ranges.ts";
import { checksumMismatch } from "./seal.ts";
import type { Storage } from "./storage.ts";
import { blocksOf } from "./stream/blocks.ts";
import { decompress } from "./stream/decompress.ts";

/** How far is read ahead at most where one range after the other differs. */
const MOST_AHEAD = 64;

/**
 * Reads of an object only what a copy of its content lacks, range by range, in order. What is kept and
 * what is read make up the whole content: the digest of each range and at the end that of all is
 * checked, so nothing passes that a full read would not let pass.
 */
export class RangedRead {
  readonly #storage: Storage;
  readonly #path: string;
  readonly #object: ManifestObject;
  readonly #ranges: ObjectRanges;
  #hash: Hash = createHash("sha256");
  #next = 0;
  /** Where the next range's frame begins. */
  #offset = 0;
  /** Frames that are being read; ranges after one that differs are looked at there first. */
  #reading: { readonly contents: AsyncGenerator<Uint8Array>; left: number } | undefined;
  #ahead = 1;

  constructor(init: {
    readonly storage: Storage;
    /** The object's, from the repository's root. */
    readonly path: string;
    readonly object: ManifestObject;
    readonly ranges: ObjectRanges;
  }) {
    this.#storage = init.storage;
    this.#path = init.path;
    this.#object = init.object;
    this.#ranges = init.ranges;
  }

  /**
   * Whether a copy holds the next range.
   * @param local what it holds there; undefined where it lacks some of it. It is only looked at
   * @returns undefined where it is the same; else the content, checked, in memory of its own
   * @throws LifeboatError `CHECKSUM_MISMATCH`, `OBJECT_MISSING`, naming the object
   */
  async next(local: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    if (this.#next >= this.#ranges.count) throw this.#damaged("has more content than ranges");
    const same = this.#reading ? undefined : this.#following(local);
    const content = same ? undefined : await this.#content();
    // Whoever differs here is likely to differ again: only a range that agrees ends the reading.
    const agrees = same !== undefined || (local && content && Buffer.compare(local, content) === 0);
    if (agrees) await this.#endReading();
    this.#hash = same ?? this.#hash;
    this.#offset += this.#ranges.frame(this.#next);
    this.#next++;
    return agrees ? undefined : content;
  }

  /** All ranges have passed: proves that they are the whole content. */
  async finish(): Promise<void> {
    await this.close();
    if (this.#hash.digest("hex") !== this.#object.content.sha256)
      throw this.#damaged("has not the SHA-256 that its manifest gives");
  }

  /** Gives up what is being read. May be called twice. */
  async close(): Promise<void> {
    const reading = this.#reading;
    this.#reading = undefined;
    await reading?.contents.return(undefined);
  }

  /** The digest's state after these bytes, where they are the range's. */
  #following(local: Uint8Array | undefined): Hash | undefined {
    if (!local) return undefined;
    const hash = this.#hash.copy().update(local);
    return this.#isRange(hash) ? hash : undefined;
  }

  #isRange(hash: Hash): boolean {
    return shortDigest(hash.copy().digest("hex")) === this.#ranges.digest(this.#next);
  }

  async #content(): Promise<Uint8Array> {
    this.#reading ??= this.#startReading();
    const reading = this.#reading;
    let content: Uint8Array | undefined;
    try {
      content = (await reading.contents.next()).value as Uint8Array | undefined;
    } catch (cause) {
      if (cause instanceof LifeboatError) throw cause;
      throw checksumMismatch(this.#path, `is damaged (zstd: ${reasonOf(cause)})`, cause);
    }
    if (content) this.#hash.update(content);
    if (!content || !this.#isRange(this.#hash))
      throw this.#damaged(`has not the content that MiB ${this.#next} of it should be`);
    reading.left--;
    if (reading.left === 0) await this.close();
    return content;
  }

  /** One frame at first, then twice as many each time that they did not do. */
  #startReading() {
    const count = Math.min(this.#ahead, this.#ranges.count - this.#next);
    this.#ahead = Math.min(this.#ahead * 2, MOST_AHEAD);
    let end = this.#offset;
    for (let index = this.#next; index < this.#next + count; index++)
      end += this.#ranges.frame(index);
    const stored = this.#storage.read(this.#path, { start: this.#offset, end });
    return { contents: blocksOf(decompress(stored), RANGE_BYTES), left: count };
  }

  async #endReading(): Promise<void> {
    this.#ahead = 1;
    await this.close();
  }

  #damaged(what: string): LifeboatError {
    return checksumMismatch(this.#path, what);
  }
}
