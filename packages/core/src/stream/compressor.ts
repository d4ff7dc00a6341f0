import { constants, createZstdCompress, type ZstdCompress } from "node:zlib";
import { frameParameters } from "./frame.ts";

/** One zstd frame, in the pieces in which it came. */
export type Frame = readonly Uint8Array[];

/** How many blocks' worth of output lies in one piece of memory: few frames are cut in two by its end. */
const BLOCKS_PER_OUTPUT = 2;

/**
 * Makes one frame of each block, one block at a time, in a thread of Node's own pool. What zstd works in stays from block
 * to block: fresh tables and buffers for each cost a fifth of the time (`.github/decisions/0040-compressors-without-workers.md`).
 */
export class Compressor {
  readonly #zstd: ZstdCompress;
  #frame: Uint8Array[] = [];
  #failed: ((reason: unknown) => void) | undefined;

  /** @param blockBytes the most that a block has */
  constructor(level: number, blockBytes: number) {
    this.#zstd = createZstdCompress({
      // Each write ends a frame, and is one call of zstd's where its output fits.
      flush: constants.ZSTD_e_end,
      chunkSize: blockBytes * BLOCKS_PER_OUTPUT,
      params: frameParameters(level),
    });
    this.#zstd.on("data", (piece: Uint8Array) => this.#frame.push(piece));
    this.#zstd.on("error", (reason) => this.#failed?.(reason));
  }

  /** The block may be used again once this resolves. One at a time; after a failure no more. */
  compress(block: Uint8Array): Promise<Frame> {
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#zstd.write(block, (failure) => {
        if (failure) return reject(failure);
        // What came late would get into another frame's place.
        if (this.#zstd.readableLength > 0) return reject(new Error("zstd: a frame is not whole"));
        const frame = this.#frame;
        this.#frame = [];
        resolve(frame);
      });
    });
  }

  /** Gives back what zstd works in; there is no block after it. */
  close(): void {
    this.#zstd.close();
  }
}
