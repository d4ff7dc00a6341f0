import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** A level, and zstd's own checksum in each frame. */
export function frameParameters(level: number): Record<number, number> {
  return { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
}

/** One whole zstd frame with zstd's own checksum. */
export function compressFrame(block: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
  return zstdCompressSync(block, { params: frameParameters(level) });
}

/**
 * The content of one whole zstd frame.
 * @param contentBytes what it says to hold; more is an error, so a bomb ends here
 */
export function decompressFrame(frame: Uint8Array, contentBytes: number): Uint8Array<ArrayBuffer> {
  if (contentBytes === 0) return new Uint8Array();
  // In one piece: the default would be put together from 16 KiB each.
  const chunkSize = Math.max(contentBytes, 1024);
  return zstdDecompressSync(frame, { maxOutputLength: contentBytes, chunkSize });
}
