import { constants, zstdCompressSync } from "node:zlib";

/** A level, and zstd's own checksum in each frame. */
export function frameParameters(level: number): Record<number, number> {
  return { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
}

/** One whole zstd frame with zstd's own checksum. */
export function compressFrame(block: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
  return zstdCompressSync(block, { params: frameParameters(level) });
}
