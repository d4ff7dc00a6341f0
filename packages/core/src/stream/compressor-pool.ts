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
  readonly #workers: { worker: Worker; waiting: Waiting[] }[] = [];

  constructor(size: number) {
    this.size = size;
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
