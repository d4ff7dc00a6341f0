import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { LifeboatError, release } from "@lifeboat/core";

const READ_BYTES = 1 << 20;

/**
 * Reads a file back while it is still being written: a disk that lost something must be known now, not on
 * the day of the restore. Span by span, each made durable first, in the time that would else be spent waiting at the end.
 */
export class ReadBack {
  readonly #handle: FileHandle;
  #position = 0;
  #sum = 0;
  #buffer: Buffer | undefined;
  #spans = Promise.resolve();

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Begins with what lies before `end`, which is written by now. Waits for the span before. */
  async begin(end: number): Promise<void> {
    await this.#spans;
    this.#spans = this.#handle.datasync().then(() => this.#read(end));
    // It is awaited with the next span, or at the end; until then a failure is not an unhandled one.
    this.#spans.catch(() => {});
  }

  /** Waits until nothing is being read any more, whatever came of it, and gives its memory back. */
  async idle(): Promise<void> {
    await this.#spans.catch(() => {});
    if (this.#buffer) release(this.#buffer);
    this.#buffer = undefined;
  }

  /**
   * Reads what is left of a file that is whole and durable.
   * @param sum the CRC-32 of what was written
   * @throws LifeboatError `STORAGE_CORRUPTS` when it is not what was written
   */
  async finish(bytes: number, sum: number): Promise<void> {
    await this.#spans;
    await this.#read(Number.POSITIVE_INFINITY);
    if (this.#position === bytes && this.#sum === sum) return;
    throw new LifeboatError({
      code: "STORAGE_CORRUPTS",
      message: `the disk gave back other bytes than were written (${this.#position} of ${bytes})`,
      remedy: "look at the disk and its log (dmesg); nothing was stored",
    });
  }

  async #read(end: number): Promise<void> {
    this.#buffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    while (this.#position < end) {
      const length = Math.min(READ_BYTES, end - this.#position);
      const { bytesRead } = await this.#handle.read(this.#buffer, 0, length, this.#position);
      if (bytesRead === 0) return;
      this.#sum = crc32(this.#buffer.subarray(0, bytesRead), this.#sum);
      this.#position += bytesRead;
    }
  }
}
