/** How much content a range holds: as much as a frame of a stored object (`stream/compress.ts`). */
export const RANGE_BYTES = 1 << 20;

/** Hexadecimal digits of a range's digest: half a SHA-256, far more than chance could meet. */
const DIGEST_DIGITS = 32;
const DIGEST_BYTES = DIGEST_DIGITS / 2;
const FIRST_RANGES = 64;

/**
 * An object of a backup, MiB by MiB: how many bytes each frame has as stored, and the digest of all the
 * content up to its end. Whoever has most of that content elsewhere finds with it what differs, and
 * reads only that (`ranged-read.ts`).
 *
 * A digest goes over everything before as well: it is the one SHA-256 of the content, looked at on its
 * way, so it costs a backup nothing. Its price is that ranges are compared in order.
 */
export class ObjectRanges {
  /** Both in as few bytes as they have: a terabyte has a million of them. */
  #frames = new Uint32Array(FIRST_RANGES);
  #frameCount = 0;
  #digests = Buffer.alloc(FIRST_RANGES * DIGEST_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Bytes of a frame as stored. */
  frame(index: number): number {
    return this.#frames[index] ?? 0;
  }

  /** Lower-case hexadecimal: the first 16 bytes of the SHA-256 of all content up to the range's end. */
  digest(index: number): string {
    if (index >= this.#count) return "";
    return this.#digests.toString("hex", index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
  }

  addFrame(bytes: number): void {
    if (this.#frameCount === this.#frames.length) {
      const more = new Uint32Array(2 * this.#frames.length);
      more.set(this.#frames);
      this.#frames = more;
    }
    this.#frames[this.#frameCount++] = bytes;
  }

  /** @param sha256 of all content up to the range's end */
  addDigest(sha256: string): void {
    const at = this.#count * DIGEST_BYTES;
    if (at === this.#digests.length)
      this.#digests = Buffer.concat([this.#digests], 2 * this.#digests.length);
    this.#digests.write(shortDigest(sha256), at, "hex");
    this.#count++;
  }
}

/** As much of a SHA-256 as ranges are told apart by. */
export function shortDigest(sha256: string): string {
  return sha256.slice(0, DIGEST_DIGITS);
}
