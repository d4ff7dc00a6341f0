import { createHash, type Hash } from "node:crypto";

/** Size and SHA-256 (lower-case hexadecimal) of a run of bytes. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Who wants to know the digest on its way: at the end of each run of so many bytes, and at the content's end. */
export interface Ranges {
  readonly bytes: number;
  /** @param sha256 of all content up to there */
  onEnd(sha256: string): void;
}

/** Counts and digests what passes through it. Read `value` when the stream has ended. */
export class DigestMeter {
  #hash: Hash = createHash("sha256");
  #bytes = 0;
  readonly #ranges: Ranges | undefined;

  constructor(ranges?: Ranges) {
    this.#ranges = ranges;
  }

  get bytes(): number {
    return this.#bytes;
  }

  #update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  #updateByRange(chunk: Uint8Array, { bytes, onEnd }: Ranges): void {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + bytes - (this.#bytes % bytes));
      this.#update(part);
      at += part.length;
      if (this.#bytes % bytes === 0) onEnd(this.soFar().sha256);
    }
  }

  /** Of what has passed until now; more may follow. */
  soFar(): Digest {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest("hex") };
  }

  /** Ends the digest; call once. */
  value(): Digest {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  async *through(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      if (this.#ranges) this.#updateByRange(chunk, this.#ranges);
      else this.#update(chunk);
      yield chunk;
    }
    if (this.#ranges && this.#bytes % this.#ranges.bytes > 0)
      this.#ranges.onEnd(this.soFar().sha256);
  }
}
