import type { FileHandle } from "node:fs/promises";

/** Long enough to be worth a flush of its own; short enough that little waits for the last one. */
const PIECE_BYTES = 32 * 2 ** 20;

/**
 * Has a long file brought to the disk while it is still being written: the system would else keep gigabytes of it in memory, and the
 * sync at its end would wait for all of them with nothing else to do. It makes nothing durable by itself. A handle that is closed
 * waits for a flush that is under way.
 */
export class WriteBack {
  readonly #file: FileHandle;
  readonly #pieceBytes: number;
  #waiting = 0;
  #flushing: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;

  constructor(file: FileHandle, pieceBytes = PIECE_BYTES) {
    this.#file = file;
    this.#pieceBytes = pieceBytes;
  }

  /** To be told of each write once it is done. Begins a flush where enough waits for one, and does not wait for it. */
  wrote(bytes: number): void {
    this.#waiting += bytes;
    if (this.#waiting < this.#pieceBytes || this.#flushing) return;
    this.#waiting = 0;
    this.#flushing = this.#flush();
  }

  /**
   * Resolves when no flush is under way. To be called before the sync that makes the file durable.
   * @throws what the system said of an earlier flush: it says so once, and the sync after it would be told that all is well
   */
  async settle(): Promise<void> {
    await this.#flushing;
    if (this.#failure) throw this.#failure.cause;
  }

  async #flush(): Promise<void> {
    try {
      await this.#file.datasync();
    } catch (cause) {
      this.#failure ??= { cause };
    } finally {
      this.#flushing = undefined;
    }
  }
}
