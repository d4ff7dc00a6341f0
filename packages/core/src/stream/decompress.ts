import { Readable } from "node:stream";
import { createZstdDecompress } from "node:zlib";

/**
 * The content of a `.zst` stream: all frames, skippable ones passed over. Throws what zlib throws
 * when the stream is cut or damaged. Needs Node 26: older ones stop after the first frame.
 */
export async function* decompress(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(content, { objectMode: false, highWaterMark: 1 << 20 });
  const zstd = createZstdDecompress({ chunkSize: 1 << 18 });
  source.on("error", (reason) => zstd.destroy(reason));
  source.pipe(zstd);
  try {
    for await (const chunk of zstd) yield chunk;
  } finally {
    source.destroy();
    zstd.destroy();
  }
}
