import type { CorruptPage } from "../corrupt-page.ts";
import { MOST_SUMMED_BYTES, PageMemory } from "./page-checksum.ts";

/** How the cluster cuts relations, and what is not to be checked. */
export interface PageLayout {
  readonly blockBytes: number;
  /** Blocks in one file of a relation; its next one goes on from there. */
  readonly segmentBlocks: number;
  /** Pages written since then are repaired by replay, whatever was read of them. */
  readonly startLsn: bigint;
}

const RELATION =
  /^(?:global|base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/;
/** A page under write is whole again in no time; one that stays wrong is wrong. */
const READS_AGAIN = 3;

/** Where the header's 32-bit words are that matter here. */
const LSN_HIGH_WORD = 0;
const LSN_LOW_WORD = 1;
const CHECKSUM_WORD = 2;
const UPPER_WORD = 3;
const HALF = 0xffff;

/** Made when the first page comes: most backups check none. */
let memory: PageMemory | undefined;

/** Reads a range of the file once more. */
export type Reread = (offset: number, length: number) => Promise<Uint8Array>;

/**
 * Checks the pages of one relation file as they pass. A page that was read while the server wrote it is
 * read again, and what was read last is what goes into the backup.
 */
export class PageCheck {
  readonly #path: string;
  readonly #layout: PageLayout;
  readonly #firstBlock: number;
  readonly #reread: Reread;
  readonly corrupt: CorruptPage[] = [];

  private constructor(init: { path: string; layout: PageLayout; segment: number; reread: Reread }) {
    this.#path = init.path;
    this.#layout = init.layout;
    this.#firstBlock = init.segment * init.layout.segmentBlocks;
    this.#reread = init.reread;
  }

  /** undefined for files that hold no pages. */
  static of(path: string, layout: PageLayout, reread: Reread): PageCheck | undefined {
    const match = RELATION.exec(path);
    if (!match) return undefined;
    return new PageCheck({ path, layout, segment: Number(match[1] ?? 0), reread });
  }

  /** @param chunk whole pages, but for the file's end; repaired in place where a page was torn */
  async check(chunk: Buffer, offset: number): Promise<void> {
    for (let from = 0; from < chunk.length; from += MOST_SUMMED_BYTES) {
      const pages = chunk.subarray(from, from + MOST_SUMMED_BYTES);
      const firstBlock = this.#firstBlock + (offset + from) / this.#layout.blockBytes;
      for (const { at, block } of this.#unsound(pages, firstBlock)) {
        const page = pages.subarray(at, at + this.#layout.blockBytes);
        await this.#settle(page, block, offset + from + at);
      }
    }
  }

  async #settle(page: Buffer, block: number, offset: number): Promise<void> {
    for (let read = 0; read < READS_AGAIN; read++) {
      const again = await this.#reread(offset, page.length);
      // Cut off meanwhile: replay knows of that.
      if (again.length < page.length) return;
      page.set(again);
      if (this.#unsound(page, block).length === 0) return;
    }
    this.corrupt.push({ path: this.#path, block: block - this.#firstBlock });
  }

  /** All of a run's pages that are not as they were written. Nothing else runs meanwhile: the memory is shared. */
  #unsound(pages: Uint8Array, firstBlock: number): { at: number; block: number }[] {
    const { blockBytes, startLsn } = this.#layout;
    const startHigh = Number(startLsn >> 32n);
    const startLow = Number(startLsn & 0xffff_ffffn);
    memory ??= new PageMemory();
    memory.fill(pages);
    const { words } = memory;
    const word = (at: number, index: number) => (words[at / 4 + index] as number) >>> 0;
    const found: { at: number; block: number }[] = [];
    for (let at = 0; at + blockBytes <= pages.length; at += blockBytes) {
      // A page that was never filled has no checksum.
      if (word(at, UPPER_WORD) >>> 16 === 0) continue;
      const high = word(at, LSN_HIGH_WORD);
      const isLater =
        high > startHigh || (high === startHigh && word(at, LSN_LOW_WORD) >= startLow);
      if (isLater) continue;
      const own = word(at, CHECKSUM_WORD) & HALF;
      const block = firstBlock + at / blockBytes;
      if (own !== memory.checksum(at, blockBytes, block)) found.push({ at, block });
    }
    return found;
  }
}
