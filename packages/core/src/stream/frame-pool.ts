import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { siblingModule } from "../sibling-module.ts";
import type { FrameReply, FrameTask } from "./frame-worker.ts";

interface Waiting {
  resolve(content: Uint8Array<ArrayBuffer>): void;
  reject(reason: unknown): void;
}

/**
 * Threads that unpack a frame each: frames are independent, so all cores can be at work. They do not
 * keep the process alive by themselves, only while something is under way.
 */
export class FramePool {
  readonly size: number;
  readonly #workers: { worker: Worker; waiting: Waiting[] }[] = [];

  constructor(size: number) {
    this.size = size;
  }

  /** Whether threads run already, so that a little work is worth handing over. */
  get started(): boolean {
    return this.#workers.length > 0;
  }

  /**
   * Unpacks a frame whose header says how much it holds. Takes over the frame's memory, which must be its own.
   */
  decompress(
    frame: Uint8Array<ArrayBuffer>,
    contentBytes: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const seat = this.#leastBusy();
    return new Promise((resolve, reject) => {
      seat.waiting.push({ resolve, reject });
      seat.worker.ref();
      const task: FrameTask = { frame, contentBytes };
      seat.worker.postMessage(task, [frame.buffer]);
    });
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
      if ("content" in reply) waiting?.resolve(reply.content);
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

let pool: FramePool | undefined;

/** The threads of this process, at most four, started when they are first needed. */
export function framePool(): FramePool {
  pool ??= new FramePool(Math.min(availableParallelism(), 4));
  return pool;
}
