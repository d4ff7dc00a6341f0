/** Cuts a database file's bytes, as they come, into runs of whole pages. */
export class PageCutter {
  readonly #pageSize: number;
  #left: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor({ pageSize, pageCount }: { readonly pageSize: number; readonly pageCount: number }) {
    this.#pageSize = pageSize;
    this.#left = pageSize * pageCount;
  }

  /**
   * The pages that are whole with this chunk, one after the other; none when it is empty. What a file
   * holds behind its pages (space taken in advance) is left out.
   */
  push(chunk: Uint8Array): Buffer {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.length, this.#wanted));
    const all = this.#rest.length === 0 ? fresh : Buffer.concat([this.#rest, fresh]);
    const whole = all.length - (all.length % this.#pageSize);
    this.#rest = Buffer.from(all.subarray(whole));
    this.#left -= whole;
    return all.subarray(0, whole);
  }

  get #wanted(): number {
    return this.#left - this.#rest.length;
  }
}
