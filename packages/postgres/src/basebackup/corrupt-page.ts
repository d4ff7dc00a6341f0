/** A page of the source whose checksum did not fit, and which was as wrong when it was read again. */
export interface CorruptPage {
  /** The file, from the data directory: `base/5/16405.1`. */
  readonly path: string;
  /** The page's number in that file, as pg_checksums counts. */
  readonly block: number;
}

/**
 * A server that checks pages as it sends them names each in a warning, whatever its language: file, block,
 * and two checksums. That of a whole file's count has none.
 */
const WARNING =
  /((?:base|global|pg_tblspc)\/[\w./-]+)(?![\w./-])\D*(\d+).*?\b[0-9A-F]{1,4}\b.*?\b[0-9A-F]{1,4}\b/;

/** How a server ends BASE_BACKUP that has sent everything, damaged pages included: `data_corrupted`. */
export const DATA_CORRUPTED = "XX001";

/** Where the server says no more than that there are some. */
const SOMEWHERE: CorruptPage = { path: "base", block: 0 };

/** The pages that a server's warnings name; it names at most five of a file. */
export function namedPages(warnings: readonly string[]): CorruptPage[] {
  const pages = warnings.flatMap((warning) => {
    const match = WARNING.exec(warning);
    return match ? [{ path: match[1] as string, block: Number(match[2]) }] : [];
  });
  return pages.length > 0 ? pages : [SOMEWHERE];
}
