import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** In memory of its own, and at once: by pieces of its usual size it would be copied together. */
const UNPACKING = { maxOutputLength: 1 << 20, chunkSize: (1 << 20) + (1 << 10) };
/** The lowest level: such text repeats itself, and nothing waits for it. */
const PARAMETERS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Also of whole blocks of a tar, so that none lies across two pieces. */
const PIECE_BYTES = 1 << 20;

/**
 * Bytes that are held until they are wanted, packed piece by piece: a backup's manifest names each of its files, and of a
 * cluster with a million of them it would fill our memory.
 */
export class PackedBytes {
  /** How many bytes it holds, unpacked. */
  bytes = 0;
  readonly #packed: Buffer[] = [];
  #open: Buffer | undefined;
  #filled = 0;

  static of(...chunks: readonly Uint8Array[]): PackedBytes {
    const packed = new PackedBytes();
    for (const chunk of chunks) packed.add(chunk);
    return packed;
  }

  /** Copies what it needs: the chunk may be used again. */
  add(chunk: Uint8Array): void {
    for (let taken = 0; taken < chunk.length; ) {
      this.#open ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
      const part = chunk.subarray(taken, taken + PIECE_BYTES - this.#filled);
      this.#open.set(part, this.#filled);
      this.#filled += part.length;
      taken += part.length;
      this.bytes += part.length;
      if (this.#filled < PIECE_BYTES) continue;
      this.#packed.push(zstdCompressSync(this.#open, PARAMETERS));
      this.#filled = 0;
    }
  }

  /** All of it, in pieces of a MiB, in order; they stay as they are for as long as nothing is added. */
  *pieces(): Generator<Buffer> {
    for (const packed of this.#packed) yield zstdDecompressSync(packed, UNPACKING);
    if (this.#open && this.#filled > 0) yield this.#open.subarray(0, this.#filled);
  }

  /** The same, each piece only until the next is asked for: its memory is given back at once. */
  *passing(): Generator<Buffer> {
    for (const piece of this.pieces()) {
      const { buffer } = piece;
      yield piece;
      if (buffer !== this.#open?.buffer && buffer instanceof ArrayBuffer) buffer.transfer(0);
    }
  }

  /** All of it at once, where it is known to be small. */
  whole(): Buffer {
    return Buffer.concat([...this.pieces()]);
  }
}
