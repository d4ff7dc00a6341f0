import type { Duplex } from "node:stream";

const BLOCK_BYTES = 1 << 18;
const MOST_HELD = 4 << 20;

/**
 * Turns the CopyData messages that a connection pushes into bytes that a reader pulls. `pg` parses
 * whatever the socket gives, so when the reader lags the socket itself is paused: the cluster is
 * never held in memory, and the server waits as it would for a slow client. A chunk is good until the
 * next is asked for.
 */
export class CopyStream implements AsyncIterable<Uint8Array> {
  readonly #socket: Duplex;
  #blocks: Buffer[] = [];
  /** Memory of blocks that were read through. */
  readonly #spares: Buffer[] = [];
  #block: Buffer | undefined;
  #filled = 0;
  #held = 0;
  #ended = false;
  #givenUp = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Copies the bytes: the parser reuses its memory for the next message. */
  push(bytes: Uint8Array): void {
    if (this.#givenUp) return;
    for (let taken = 0; taken < bytes.length; ) {
      this.#block ??= this.#spares.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const part = bytes.subarray(taken, taken + BLOCK_BYTES - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      taken += part.length;
      if (this.#filled === BLOCK_BYTES) this.#closeBlock();
    }
    if (this.#held > MOST_HELD) this.#socket.pause();
  }

  end(): void {
    this.#closeBlock();
    this.#ended = true;
    this.#wakeReader();
  }

  fail(reason: unknown): void {
    this.#failure ??= reason;
    this.#ended = true;
    this.#wakeReader();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const block = this.#blocks.shift();
        if (block) {
          this.#held -= block.length;
          if (this.#held <= MOST_HELD / 2) this.#socket.resume();
          yield block;
          // The last one is shorter than its memory.
          if (block.length === BLOCK_BYTES) this.#spares.push(block);
        } else if (this.#failure !== undefined) throw this.#failure;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      // Whoever stops reading early wants none of the rest.
      this.#givenUp = true;
      this.#blocks = [];
      this.#socket.resume();
    }
  }

  #closeBlock(): void {
    if (!this.#block || this.#filled === 0) return;
    this.#blocks.push(this.#block.subarray(0, this.#filled));
    this.#held += this.#filled;
    this.#block = undefined;
    this.#filled = 0;
    this.#wakeReader();
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
