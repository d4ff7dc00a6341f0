import { Worker } from "node:worker_threads";
import { siblingModule } from "../sibling-module.ts";
import type { CompressReply, CompressTask } from "./compress-worker.ts";

interface Waiting {
  resolve(frame: Uint8Array): void;
  reject(reason: unknown): void;
}

/**
 * Threads that compress one block each. They do not keep the process alive by themselves, only
 * while a block is under way.
 */
export class CompressorPool {
  readonly size: number;
  readonly #blockBytes: number;
  /** Blocks that came back: fresh memory for each would cost more than compressing at level 1. */
  readonly #spares: Uint8Array<ArrayBuffer>[] = [];
  readonly #workers: { worker: Worker; waiting: Waiting[] }[] = [];

  constructor(size: number, blockBytes: number) {
    this.size = size;
    this.#blockBytes = blockBytes;
  }

  /** Takes over the block's memory: the caller may not use it afterwards. */
  compress(block: Uint8Array<ArrayBuffer>, level: number): Promise<Uint8Array> {
    const seat = this.#leastBusy();
    return new Promise((resolve, reject) => {
      seat.waiting.push({ resolve, reject });
      seat.worker.ref();
      const task: CompressTask = { block, level };
      seat.worker.postMessage(task, [block.buffer]);
    });
  }

  /** The memory of a block that is compressed, if there is one. */
  spare(): Uint8Array<ArrayBuffer> | undefined {
    return this.#spares.pop();
  }

  #keep(block: Uint8Array<ArrayBuffer>): void {
    const full = block.byteLength === this.#blockBytes;
    if (full && this.#spares.length < this.size * 2) this.#spares.push(block);
  }

  #leastBusy() {
    if (this.#workers.length < this.size) return this.#start();
    return this.#workers.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
  }

  #start() {
    const worker = new Worker(siblingModule(import.meta.url, "compress-worker"));
    const seat = { worker, waiting: [] as Waiting[] };
    worker.on("message", (reply: CompressReply) => {
      const waiting = seat.waiting.shift();
      if (seat.waiting.length === 0) worker.unref();
      this.#keep(reply.block);
      if ("frame" in reply) waiting?.resolve(reply.frame);
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
