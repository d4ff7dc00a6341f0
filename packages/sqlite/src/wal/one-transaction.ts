import { FRAME, FRAME_HEADER_BYTES } from "./frame.ts";
import type { Salts } from "./header.ts";
import { WalWriter } from "./wal-writer.ts";

export interface PageToWrite {
  /** From 1. */
  readonly number: number;
  readonly page: Uint8Array;
}

/** Frames are given on together, in memory that is used again: a fresh buffer for each would be garbage faster than it is collected. */
const BATCH_BYTES = 1 << 20;

/**
 * A WAL of one transaction that holds these pages, of a database that has `pageCount` after it. Each page is copied before the
 * next is asked for; what is given is good until more is.
 */
export async function* walOfOneTransaction(
  pages: AsyncIterable<PageToWrite>,
  database: { readonly pageSize: number; readonly pageCount: number; readonly salts?: Salts },
): AsyncGenerator<Uint8Array> {
  const { pageSize, pageCount, salts } = database;
  const writer = new WalWriter(pageSize, salts);
  yield writer.header;
  const frameBytes = FRAME_HEADER_BYTES + pageSize;
  // Of zeros: no frame but the last is a commit.
  const batch = Buffer.alloc(frameBytes * Math.floor(BATCH_BYTES / frameBytes));
  let filled = 0;
  for await (const { number, page } of pages) {
    // Which one is the last, and so the commit, is known only when there is no other.
    if (filled === batch.length) {
      writer.stamp(batch);
      yield batch;
      filled = 0;
    }
    batch.writeUInt32BE(number, filled + FRAME.page);
    batch.set(page, filled + FRAME_HEADER_BYTES);
    filled += frameBytes;
  }
  if (filled === 0) return;
  batch.writeUInt32BE(pageCount, filled - frameBytes + FRAME.commitPages);
  const last = batch.subarray(0, filled);
  writer.stamp(last);
  yield last;
}
