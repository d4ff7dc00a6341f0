import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** The lowest level: the text repeats itself, and nothing waits for it. */
const PARAMETERS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Longer lines are nobody's. */
const LONGEST_LINE = 4 << 20;

/**
 * In memory of its own: zstd's result is a small part of a piece that it would keep, and a small copy of Node's is a
 * part of one that is shared with whatever else is copied, 64 KiB for each line that is held.
 */
export function packLine(line: string): Buffer {
  const packed = zstdCompressSync(line, PARAMETERS);
  const own = Buffer.allocUnsafeSlow(packed.length);
  own.set(packed);
  return own;
}

/** Throws where it is none, or unpacks to more than a line can have. */
export function unpackLine(packed: Uint8Array): string {
  return zstdDecompressSync(packed, { maxOutputLength: LONGEST_LINE }).toString("utf8");
}

/** Lines of text that are held until they are wanted, packed: of a large cluster they are a hundred times smaller so. */
export class PackedLines {
  readonly #lines: Buffer[] = [];

  add(line: string): void {
    this.#lines.push(packLine(line));
  }

  *all(): Generator<string> {
    for (const line of this.#lines) yield unpackLine(line);
  }
}
