import { createHash, type Hash } from "node:crypto";

/** Size and SHA-256 (lower-case hexadecimal) of a run of bytes. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Counts and digests what passes through it. Read `value` when the stream has ended. */
export class DigestMeter {
  #hash: Hash = createHash("sha256");
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Ends the digest; call once. */
  value(): Digest {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  async *through(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.#hash.update(chunk);
      this.#bytes += chunk.length;
      yield chunk;
    }
  }
}
