import { blocksOf } from "./blocks.ts";
import { compressFrame } from "./frame.ts";
import { FRAME_BYTES, framePool } from "./frame-pool.ts";
import { inOrder } from "./in-order.ts";

/**
 * Compresses a stream with zstd on all cores (at most four), in order, holding back at most two
 * blocks a core. Each frame carries zstd's own checksum.
 * @param level zstd's, 1 (fast) to 19 (small)
 */
export async function* compress(
  content: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const pool = framePool();
  const blocks = blocksOf(content, FRAME_BYTES, () => pool.spare() ?? new Uint8Array(FRAME_BYTES));
  const first = await blocks.next();
  const second = first.done ? first : await blocks.next();
  // What fits into one frame is not worth waking another thread: WAL pushes start and end by the hundred.
  if (second.done) {
    yield compressFrame(first.done ? new Uint8Array() : first.value, level);
    return;
  }
  const tasks = async function* () {
    yield () => pool.compress(first.value, level);
    yield () => pool.compress(second.value, level);
    for await (const block of blocks) yield () => pool.compress(block, level);
  };
  yield* inOrder(tasks(), pool.size * 2);
}
