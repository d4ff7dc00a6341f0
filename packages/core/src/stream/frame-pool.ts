import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { siblingModule } from "../sibling-module.ts";
import type { FrameReply, FrameTask } from "./frame-worker.ts";

interface Waiting {
  resolve(result: Uint8Array<ArrayBuffer>): void;
  reject(reason: unknown): void;
}

/**
 * Threads that compress a block or unpack a frame each. They do not keep the process alive by
 * themselves, only while something is under way.
 */
export class FramePool {
  readonly size: number;
  readonly #blockBytes: number;
  /** Blocks that came back: fresh memory for each would cost more than compressing at level 1. */
  readonly #spares: Uint8Array<ArrayBuffer>[] = [];
  readonly #workers: { worker: Worker; waiting: Waiting[] }[] = [];

  constructor(size: number, blockBytes: number) {
    this.size = size;
    this.#blockBytes = blockBytes;
  }

  /** Whether threads run already, so that a little work is worth handing over. */
  get started(): boolean {
    return this.#workers.length > 0;
  }

  /** Takes over the block's memory: the caller may not use it afterwards. */
  compress(block: Uint8Array<ArrayBuffer>, level: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#run({ block, level });
  }

  /**
   * Unpacks a frame whose header says how much it holds. Takes over the frame's memory, which must be its own.
   */
  decompress(
    block: Uint8Array<ArrayBuffer>,
    contentBytes: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#run({ block, contentBytes });
  }

  /** The memory of a block that is compressed, if there is one. */
  spare(): Uint8Array<ArrayBuffer> | undefined {
    return this.#spares.pop();
  }

  #run(task: FrameTask): Promise<Uint8Array<ArrayBuffer>> {
    const seat = this.#leastBusy();
    return new Promise((resolve, reject) => {
      seat.waiting.push({ resolve, reject });
      seat.worker.ref();
      seat.worker.postMessage(task, [task.block.buffer]);
    });
  }

  #keep(block: Uint8Array<ArrayBuffer>): void {
    const full = block.byteLength === this.#blockBytes;
    if (full && this.#spares.length < this.size * 2) this.#spares.push(block);
  }

  #leastBusy() {
    const idle = this.#workers.find(({ waiting }) => waiting.length === 0);
    if (idle) return idle;
    if (this.#workers.length < this.size) return this.#start();
    return this.#workers.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
  }

  #start() {
    const worker = new Worker(siblingModule(import.meta.url, "frame-worker"));
    const seat = { worker, waiting: [] as Waiting[] };
    worker.on("message", (reply: FrameReply) => {
      const waiting = seat.waiting.shift();
      if (seat.waiting.length === 0) worker.unref();
      this.#keep(reply.block);
      if ("result" in reply) waiting?.resolve(reply.result);
      else waiting?.reject(new Error(`zstd: ${reply.failure}`));
    });
    worker.on("error", (failure) => {
      this.#workers.splice(this.#workers.indexOf(seat), 1);
      for (const waiting of seat.waiting.splice(0)) waiting.reject(failure);
    });
    this.#workers.push(seat);
    return seat;
  }
}

/**
 * One zstd frame for each MiB of content. Independent frames can be worked at on all cores, and one
 * after the other they are one standard `.zst` file. Node's own multi-threaded zstd
 * (`ZSTD_c_nbWorkers`) returns wrong bytes without an error, so the threads are ours
 * (`.github/decisions/0002-zstd-frames.md`).
 */
export const FRAME_BYTES: number = 1 << 20;

let pool: FramePool | undefined;

/** The threads of this process, at most four, started when they are first needed. */
export function framePool(): FramePool {
  pool ??= new FramePool(Math.min(availableParallelism(), 4), FRAME_BYTES);
  return pool;
}
