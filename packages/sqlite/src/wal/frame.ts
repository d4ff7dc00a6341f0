/** Before each page in a WAL (sqlite.org/fileformat2.html, 4.1). */
export const FRAME_HEADER_BYTES = 24;

/** Places in a frame's header. */
export const FRAME = {
  /** The page's number, from 1. */
  page: 0,
  /** In the last frame of a transaction the pages of the database after it, else 0. */
  commitPages: 4,
  salt1: 8,
  salt2: 12,
  checksum1: 16,
  checksum2: 20,
  /** The header's first eight bytes are summed, then the page. */
  summedBytes: 8,
} as const;
