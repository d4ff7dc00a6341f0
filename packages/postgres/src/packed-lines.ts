import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** The lowest level: the text repeats itself, and nothing waits for it. */
const PARAMETERS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Lines of text that are held until they are wanted, packed: of a large cluster they are a hundred times smaller so. */
export class PackedLines {
  readonly #lines: Buffer[] = [];

  add(line: string): void {
    this.#lines.push(zstdCompressSync(line, PARAMETERS));
  }

  *all(): Generator<string> {
    for (const line of this.#lines) yield zstdDecompressSync(line).toString("utf8");
  }
}
