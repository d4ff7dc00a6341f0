import { constants, zstdCompressSync } from "node:zlib";

/** One whole zstd frame with zstd's own checksum. */
export function compressFrame(block: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
  return zstdCompressSync(block, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  });
}
