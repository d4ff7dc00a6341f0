/** SQLite's own limit (`SQLITE_MAX_PAGE_COUNT`, sqlite.org/limits.html). */
export const MOST_PAGES = 0xffff_fffe;

/** Ids of accounts: the last number means none to chown(2), which would leave the file to whoever restores it. */
export const LARGEST_ID = 0xffff_fffe;

/** A power of two from 512 to 65536 (sqlite.org/fileformat2.html, 1.3.2). */
export function isPageSize(value: unknown): value is number {
  const size = Number(value);
  return Number.isInteger(value) && size >= 512 && size <= 65_536 && (size & (size - 1)) === 0;
}

/** How many pages a database can have. */
export function isPageCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MOST_PAGES;
}
