import { Compressor, type Frame } from "./compressor.ts";
import { release } from "./release.ts";

interface Task {
  readonly block: Uint8Array<ArrayBuffer>;
  resolve(frame: Frame): void;
  reject(reason: unknown): void;
}

/** What was not needed for so long is given back: a watch lives for months, and its first backup for a second. */
const IDLE_MS = 5_000;

/** A few compressors of one level that share a queue of blocks. They do not keep the process alive. */
export class CompressorPool {
  readonly size: number;
  readonly #level: number;
  readonly #blockBytes: number;
  readonly #idle: Compressor[] = [];
  readonly #queue: Task[] = [];
  #compressors = 0;
  /** Blocks that came back: fresh memory for each would cost more than compressing at level 1. */
  readonly #spares: Uint8Array<ArrayBuffer>[] = [];
  /** The most compressors that were at work at once since the last look. */
  #mostBusy = 0;
  #looks: NodeJS.Timeout | undefined;

  constructor(init: { size: number; level: number; blockBytes: number }) {
    this.size = init.size;
    this.#level = init.level;
    this.#blockBytes = init.blockBytes;
  }

  /** Takes over the block's memory: the caller may not use it afterwards. */
  compress(block: Uint8Array<ArrayBuffer>): Promise<Frame> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ block, resolve, reject });
      this.#next();
    });
  }

  /** How many there are now: none before the first block, and after a while without one. */
  get compressors(): number {
    return this.#compressors;
  }

  /** The memory of a block that is compressed, if there is one. */
  spare(): Uint8Array<ArrayBuffer> | undefined {
    return this.#spares.pop();
  }

  #next(): void {
    const task = this.#queue[0];
    const compressor = task && this.#seat();
    if (!compressor) return;
    this.#queue.shift();
    this.#mostBusy = Math.max(this.#mostBusy, this.#busy);
    this.#looks ??= setInterval(() => this.#giveBack(), IDLE_MS).unref();
    void this.#run(compressor, task);
  }

  async #run(compressor: Compressor, { block, resolve, reject }: Task): Promise<void> {
    try {
      const frame = await compressor.compress(block);
      this.#keep(block);
      this.#idle.push(compressor);
      resolve(frame);
    } catch (failure) {
      // What it holds of a broken frame must not get into the next one.
      this.#compressors--;
      reject(failure);
    }
    this.#next();
  }

  #seat(): Compressor | undefined {
    const idle = this.#idle.pop();
    if (idle || this.#compressors === this.size) return idle;
    this.#compressors++;
    return new Compressor(this.#level, this.#blockBytes);
  }

  get #busy(): number {
    return this.#compressors - this.#idle.length;
  }

  #giveBack(): void {
    while (this.#compressors > this.#mostBusy && this.#idle.length > 0) {
      this.#idle.pop()?.close();
      this.#compressors--;
    }
    for (const block of this.#spares.splice(this.#mostBusy * 2)) release(block);
    if (this.#mostBusy === 0) {
      clearInterval(this.#looks);
      this.#looks = undefined;
    }
    this.#mostBusy = this.#busy;
  }

  #keep(block: Uint8Array<ArrayBuffer>): void {
    const full = block.byteLength === this.#blockBytes;
    if (full && this.#spares.length < this.size * 2) this.#spares.push(block);
    else release(block);
  }
}
