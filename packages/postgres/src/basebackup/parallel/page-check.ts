import type { CorruptPage } from "../corrupt-page.ts";
import { pageChecksum } from "./page-checksum.ts";

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

/** Byte offsets in a page's header. */
const LSN_HIGH_WORD = 0;
const LSN_LOW_WORD = 1;
const CHECKSUM_OFFSET = 8;
const UPPER_OFFSET = 14;

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
    const { blockBytes } = this.#layout;
    for (let at = 0; at + blockBytes <= chunk.length; at += blockBytes) {
      const page = chunk.subarray(at, at + blockBytes);
      const block = this.#firstBlock + (offset + at) / blockBytes;
      if (!this.#isSound(page, block)) await this.#settle(page, block, offset + at);
    }
  }

  async #settle(page: Buffer, block: number, offset: number): Promise<void> {
    for (let read = 0; read < READS_AGAIN; read++) {
      const again = await this.#reread(offset, page.length);
      // Cut off meanwhile: replay knows of that.
      if (again.length < page.length) return;
      page.set(again);
      if (this.#isSound(page, block)) return;
    }
    this.corrupt.push({ path: this.#path, block: block - this.#firstBlock });
  }

  #isSound(page: Buffer, block: number): boolean {
    // A page that was never filled has no checksum.
    if (page.readUInt16LE(UPPER_OFFSET) === 0) return true;
    const words = wordsOf(page);
    const high = BigInt((words[LSN_HIGH_WORD] as number) >>> 0);
    const low = BigInt((words[LSN_LOW_WORD] as number) >>> 0);
    if (((high << 32n) | low) >= this.#layout.startLsn) return true;
    return page.readUInt16LE(CHECKSUM_OFFSET) === pageChecksum(words, block);
  }
}

function wordsOf(page: Buffer): Int32Array {
  const aligned = page.byteOffset % 4 === 0 ? page : Buffer.from(page);
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}
