/** So many bytes of bits are made at once, when the first page in their reach is added. */
const BLOCK_BYTES = 64 << 10;
const BLOCK_SHIFT = 19;

/**
 * A set of page numbers, one bit each. Takes memory for the reach of pages that are in it, and not for
 * as many as a manifest says that there are.
 */
export class PageSet {
  readonly #blocks: (Uint8Array | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(page: number): boolean {
    const byte = this.#blocks[page >>> BLOCK_SHIFT]?.[(page >>> 3) % BLOCK_BYTES] ?? 0;
    return (byte & (1 << (page & 7))) !== 0;
  }

  add(page: number): void {
    const at = page >>> BLOCK_SHIFT;
    const block = this.#blocks[at] ?? new Uint8Array(BLOCK_BYTES);
    this.#blocks[at] = block;
    const byte = (page >>> 3) % BLOCK_BYTES;
    const before = block[byte] ?? 0;
    const after = before | (1 << (page & 7));
    if (after === before) return;
    block[byte] = after;
    this.#size += 1;
  }
}
