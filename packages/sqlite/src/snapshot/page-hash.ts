import { hash } from "node:crypto";

/** What is kept of each page's SHA-256: enough that two pages never agree by chance. */
export const PAGE_HASH_BYTES = 16;

/** SQLite locks these bytes and never uses the page that they lie in (sqlite.org/fileformat2.html, 1.1). */
const LOCK_BYTE = 1 << 30;

/** The number of the page that is never used. Smaller databases do not reach it. */
export function lockPageOf(pageSize: number): number {
  return LOCK_BYTE / pageSize + 1;
}

/** Writes a page's hash; zeros for the page that is never used. */
export function writePageHash(
  page: Uint8Array,
  number: number,
  { to, at }: { readonly to: Buffer; readonly at: number },
): void {
  if (number === lockPageOf(page.length)) to.fill(0, at, at + PAGE_HASH_BYTES);
  // As text, since a buffer for each page costs as much as its hash.
  else to.write(hash("sha256", page, "latin1"), at, PAGE_HASH_BYTES, "latin1");
}
