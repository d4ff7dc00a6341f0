import type { Salts } from "./header.ts";
import { WalWriter } from "./wal-writer.ts";

export interface PageToWrite {
  /** From 1. */
  readonly number: number;
  readonly page: Uint8Array;
}

/** A WAL of one transaction that holds these pages, of a database that has `pageCount` after it. */
export async function* walOfOneTransaction(
  pages: AsyncIterable<PageToWrite>,
  database: { readonly pageSize: number; readonly pageCount: number; readonly salts?: Salts },
): AsyncGenerator<Uint8Array> {
  const { pageSize, pageCount, salts } = database;
  const writer = new WalWriter(pageSize, salts);
  yield writer.header;
  // Which one is the last, and so the commit, is known only when there is no other.
  let held: PageToWrite | undefined;
  for await (const { number, page } of pages) {
    if (held) yield writer.frame(held.number, held.page, 0);
    held = { number, page: Buffer.from(page) };
  }
  if (held) yield writer.frame(held.number, held.page, pageCount);
}
