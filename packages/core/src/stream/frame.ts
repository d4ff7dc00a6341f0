import { promisify } from "node:util";
import { constants, zstdCompressSync, zstdDecompress } from "node:zlib";
import { release } from "./release.ts";

const unpack = promisify(zstdDecompress);

/** A level, and zstd's own checksum in each frame. */
export function frameParameters(level: number): Record<number, number> {
  const plain = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  return { ...plain, ...TABLES[level] };
}

/**
 * zstd chooses its tables for streams of any length. For frames of one MiB half of them finds the same, and stays in the
 * core's cache (`.github/decisions/0042-sqlite-costs-measured.md`). Only the levels that everybody uses were measured.
 */
const TABLES: Readonly<Record<number, Record<number, number>>> = {
  /** That of logs: shorter matches are found in pages than zstd looks for at its fastest level. */
  1: {
    [constants.ZSTD_c_hashLog]: 13,
    [constants.ZSTD_c_minMatch]: 5,
  },
  3: {
    [constants.ZSTD_c_windowLog]: 20,
    [constants.ZSTD_c_hashLog]: 16,
    [constants.ZSTD_c_chainLog]: 15,
  },
};

/** One whole zstd frame with zstd's own checksum. */
export function compressFrame(block: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
  return zstdCompressSync(block, { params: frameParameters(level) });
}

/**
 * The content of one whole zstd frame, unpacked in a thread of Node's own pool. Takes over the frame's memory, if that
 * is its own.
 * @param contentBytes what it says to hold; more is an error, so a bomb ends here
 */
export async function decompressFrame(
  frame: Uint8Array,
  contentBytes: number,
): Promise<Uint8Array> {
  if (contentBytes === 0) return new Uint8Array();
  // In one piece: the default would be put together from 16 KiB each, and each a turn of that thread.
  const chunkSize = Math.max(contentBytes, 1024);
  const content = await unpack(frame, { maxOutputLength: contentBytes, chunkSize });
  release(frame);
  return content;
}
