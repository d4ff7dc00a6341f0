import { Readable } from "node:stream";
import { createZstdDecompress } from "node:zlib";
import { decompressFrame } from "./frame.ts";
import { framePool } from "./frame-pool.ts";
import { inOrder } from "./in-order.ts";
import { type Remainder, splitFrames } from "./split-frames.ts";

/** So many frames are unpacked in this thread before others are started for it: a WAL segment's worth. */
const FEW_FRAMES = 16;

/**
 * The content of a `.zst` stream: all frames, skippable ones passed over. Our own frames are unpacked
 * on all cores, in order; others' as one stream. Throws when the stream is cut or damaged.
 */
export async function* decompress(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pool = framePool();
  let rest: Remainder | undefined;
  const tasks = async function* () {
    let frames = 0;
    for await (const part of splitFrames(content)) {
      if ("remainder" in part) {
        rest = part;
        return;
      }
      frames += 1;
      const { bytes, contentBytes } = part;
      if (pool.started || frames > FEW_FRAMES) yield () => pool.decompress(bytes, contentBytes);
      else yield async () => decompressFrame(bytes, contentBytes);
    }
  };
  try {
    for await (const chunk of inOrder(tasks(), pool.size * 2)) if (chunk.length > 0) yield chunk;
    if (rest) yield* decompressAsOne(rest.remainder);
  } finally {
    await rest?.close();
  }
}

/** Needs Node 26: older ones stop after the first frame. */
async function* decompressAsOne(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
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
