import type { Handover } from "../raw/handover.ts";
import { PAGE_HASH_BYTES, writePageHash } from "./page-hash.ts";

const PAGES_AT_ONCE = 4096;

/** Collects the hashes of a database's pages, in order, and hands them over as they come. */
export class PageHashes {
  readonly #to: Handover;
  readonly #pageSize: number;
  #buffer = Buffer.alloc(PAGES_AT_ONCE * PAGE_HASH_BYTES);
  #filled = 0;
  #number = 0;

  constructor(to: Handover, pageSize: number) {
    this.#to = to;
    this.#pageSize = pageSize;
  }

  /**
   * Takes the next page.
   * @returns its hash, valid until the next page is taken
   */
  async take(page: Uint8Array): Promise<Buffer> {
    if (this.#filled === this.#buffer.length) await this.#flush();
    this.#write(page);
    return this.#buffer.subarray(this.#filled - PAGE_HASH_BYTES, this.#filled);
  }

  /** Takes a block of whole pages. */
  async takeAll(pages: Uint8Array): Promise<void> {
    const { buffer, byteOffset, length } = pages;
    for (let at = 0; at < length; at += this.#pageSize) {
      if (this.#filled === this.#buffer.length) await this.#flush();
      // A Buffer's subarray costs a third of what the hash does.
      this.#write(new Uint8Array(buffer, byteOffset + at, this.#pageSize));
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    this.#to.end();
  }

  #write(page: Uint8Array): void {
    this.#number += 1;
    writePageHash(page, this.#number, { to: this.#buffer, at: this.#filled });
    this.#filled += PAGE_HASH_BYTES;
  }

  async #flush(): Promise<void> {
    await this.#to.put(this.#buffer.subarray(0, this.#filled));
    // The one before may still be on its way to another thread.
    this.#buffer = Buffer.alloc(PAGES_AT_ONCE * PAGE_HASH_BYTES);
    this.#filled = 0;
  }
}
