import type { FileHandle } from "node:fs/promises";

/** How many files are written before they are made durable together: their flushes overlap. */
const BATCH_FILES = 64;
const BATCH_BYTES = 64 * 2 ** 20;

/** Files of one archive that are written and not yet durable. */
export class FileBatch {
  #files: FileHandle[] = [];
  #bytes = 0;

  get isFull(): boolean {
    return this.#files.length >= BATCH_FILES || this.#bytes >= BATCH_BYTES;
  }

  add(file: FileHandle, bytes: number): void {
    this.#files.push(file);
    this.#bytes += bytes;
  }

  async sync(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.sync()));
    await this.close();
  }

  async close(): Promise<void> {
    this.#bytes = 0;
    await Promise.all(this.#files.splice(0).map((file) => file.close()));
  }
}
