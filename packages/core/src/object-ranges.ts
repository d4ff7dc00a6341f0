/** How much content a range holds: as much as a frame of a stored object (`stream/compress.ts`). */
export const RANGE_BYTES = 1 << 20;

/** Hexadecimal digits of a range's digest: half a SHA-256, far more than chance could meet. */
const DIGEST_DIGITS = 32;

/**
 * An object of a backup, MiB by MiB: how many bytes each frame has as stored, and the digest of all the
 * content up to its end. Whoever has most of that content elsewhere finds with it what differs, and
 * reads only that (`ranged-read.ts`).
 *
 * A digest goes over everything before as well: it is the one SHA-256 of the content, looked at on its
 * way, so it costs a backup nothing. Its price is that ranges are compared in order.
 */
export class ObjectRanges {
  readonly #frames: number[] = [];
  readonly #digests: string[] = [];

  get count(): number {
    return this.#digests.length;
  }

  /** Bytes of a frame as stored. */
  frame(index: number): number {
    return this.#frames[index] ?? 0;
  }

  /** Lower-case hexadecimal: the first 16 bytes of the SHA-256 of all content up to the range's end. */
  digest(index: number): string {
    return this.#digests[index] ?? "";
  }

  addFrame(bytes: number): void {
    this.#frames.push(bytes);
  }

  /** @param sha256 of all content up to the range's end */
  addDigest(sha256: string): void {
    this.#digests.push(shortDigest(sha256));
  }
}

/** As much of a SHA-256 as ranges are told apart by. */
export function shortDigest(sha256: string): string {
  return sha256.slice(0, DIGEST_DIGITS);
}
