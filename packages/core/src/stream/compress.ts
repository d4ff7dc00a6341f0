import { availableParallelism } from "node:os";
import { RANGE_BYTES } from "../object-ranges.ts";
import { blocksOf } from "./blocks.ts";
import { CompressorPool } from "./compressor-pool.ts";
import { compressFrame } from "./frame.ts";
import { inOrder } from "./in-order.ts";

/** How a stream is packed. */
export interface Packing {
  /** Told the size of each frame, in order, before it is given. */
  onFrame?(bytes: number): void;
  /** Blocks that are worked on, or wait for their turn, at once; left out: what keeps all cores busy. */
  readonly atOnce?: number | undefined;
}

/**
 * One zstd frame for each MiB of content. Independent frames can be compressed on all cores, and one
 * after the other they are one standard `.zst` file. Node's own multi-threaded zstd
 * (`ZSTD_c_nbWorkers`) returns wrong bytes without an error, so the work is shared out here
 * (`.github/decisions/0002-zstd-frames.md`).
 */
const FRAME_BYTES = RANGE_BYTES;

/** Node's pool has four threads, and files are read and written by them too. */
const MOST_COMPRESSORS = 3;

const pools = new Map<number, CompressorPool>();

/**
 * Compresses a stream with zstd on all cores (at most three), in order, holding back at most two
 * blocks a compressor. Each frame carries zstd's own checksum.
 * @param level zstd's, 1 (fast) to 19 (small)
 */
export async function* compress(
  content: AsyncIterable<Uint8Array>,
  level: number,
  { onFrame, atOnce }: Packing = {},
): AsyncGenerator<Uint8Array> {
  const pool = poolOf(level);
  const blocks = blocksOf(content, FRAME_BYTES, () => pool.spare() ?? new Uint8Array(FRAME_BYTES));
  const first = await blocks.next();
  const second = first.done ? first : await blocks.next();
  // What fits into one frame is not worth waking another thread: WAL pushes start and end by the hundred.
  if (second.done) {
    const frame = compressFrame(first.done ? new Uint8Array() : first.value, level);
    onFrame?.(frame.length);
    yield frame;
    return;
  }
  const tasks = async function* () {
    yield () => pool.compress(first.value);
    yield () => pool.compress(second.value);
    for await (const block of blocks) yield () => pool.compress(block);
  };
  for await (const frame of inOrder(tasks(), atOnce ?? pool.size * 2)) {
    onFrame?.(frame.reduce((bytes, piece) => bytes + piece.length, 0));
    yield* frame;
  }
}

/** One more than there are cores: while the main thread hands over and takes back, none stands idle. */
function poolOf(level: number): CompressorPool {
  const known = pools.get(level);
  if (known) return known;
  const size = Math.min(availableParallelism() + 1, MOST_COMPRESSORS);
  const pool = new CompressorPool({ size, level, blockBytes: FRAME_BYTES });
  pools.set(level, pool);
  return pool;
}
