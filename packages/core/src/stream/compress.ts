import { availableParallelism } from "node:os";
import { blocksOf } from "./blocks.ts";
import { CompressorPool } from "./compressor-pool.ts";
import { compressFrame } from "./frame.ts";

/**
 * One zstd frame for each MiB of content. Independent frames can be compressed on all cores, and one
 * after the other they are one standard `.zst` file. Node's own multi-threaded zstd
 * (`ZSTD_c_nbWorkers`) returns wrong bytes without an error, so the threads are ours
 * (`.github/decisions/0002-zstd-frames.md`).
 */
const FRAME_BYTES = 1 << 20;

let pool: CompressorPool | undefined;

/**
 * Compresses a stream with zstd on all cores (at most four), in order, holding back at most two
 * blocks a core. Each frame carries zstd's own checksum.
 * @param level zstd's, 1 (fast) to 19 (small)
 */
export async function* compress(
  content: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const blocks = blocksOf(content, FRAME_BYTES, () => pool?.spare() ?? new Uint8Array(FRAME_BYTES));
  const first = await blocks.next();
  const second = first.done ? first : await blocks.next();
  // What fits into one frame is not worth waking another thread: WAL pushes start and end by the hundred.
  if (second.done) {
    yield compressFrame(first.done ? new Uint8Array() : first.value, level);
    return;
  }
  pool ??= new CompressorPool(Math.min(availableParallelism(), 4), FRAME_BYTES);
  const ahead = pool.size * 2;
  const pending: Promise<Uint8Array>[] = [];
  const submit = (block: Uint8Array<ArrayBuffer>) => {
    const frame = (pool as CompressorPool).compress(block, level);
    // It is awaited in its turn; until then a failure is not an unhandled one.
    frame.catch(() => {});
    pending.push(frame);
  };
  submit(first.value);
  submit(second.value);
  for await (const block of blocks) {
    if (pending.length >= ahead) yield (await pending.shift()) as Uint8Array;
    submit(block);
  }
  for (const frame of pending) yield await frame;
}
