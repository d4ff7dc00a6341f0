import { pageSumModule } from "./page-sum-module.ts";

const MEMORY_PAGE_BYTES = 1 << 16;

/** How many bytes may be summed up at once: a multiple of every page size. */
export const MOST_SUMMED_BYTES: number = 8 * MEMORY_PAGE_BYTES;

/** Of the word that holds the checksum in its lower half, which counts as zero; the upper half are flags. */
const CHECKSUM_WORD = 2;
const FLAGS_HALF = ~0xffff;

/** What of the runtime's own is used here: the types of Node leave it to those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly page: { readonly memory: object } },
  ) => { readonly exports: { readonly sum: (from: number, to: number) => number } };
};

/** Pages in a memory where their checksums are quickly computed. It is one for all: what lies in it is gone after an `await`. */
export class PageMemory {
  /** The pages, as 32-bit words of the server's byte order (little-endian). */
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #sum: (from: number, to: number) => number;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: MOST_SUMMED_BYTES / MEMORY_PAGE_BYTES });
    const module = new WebAssembly.Module(pageSumModule());
    const { exports } = new WebAssembly.Instance(module, { page: { memory } });
    this.#sum = exports.sum;
    this.#bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
  }

  /** @param pages at most {@link MOST_SUMMED_BYTES} */
  fill(pages: Uint8Array): void {
    this.#bytes.set(pages);
  }

  /**
   * The checksum of a page (src/include/storage/checksum_impl.h of PostgreSQL): its sum, folded into 16 bits with the
   * block's number. The checksum that the page itself has is gone from the memory afterwards.
   * @param from where the page begins, in bytes
   * @param block its number in the relation's fork, all segments counted
   */
  checksum(from: number, bytes: number, block: number): number {
    const at = from / 4 + CHECKSUM_WORD;
    this.words[at] = (this.words[at] as number) & FLAGS_HALF;
    return (((this.#sum(from, from + bytes) ^ block) >>> 0) % 65_535) + 1;
  }
}
