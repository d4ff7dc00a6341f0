/** What a writer meets whose reader went away. Why it did is the reader's to tell. */
export class ReaderGone extends Error {
  constructor() {
    super("what was handed over is no longer read");
  }
}

/**
 * A stream that one task writes and another reads, each waiting for the other: nothing piles up
 * between them. When the reader stops early, writing fails; when the writer fails, so does reading.
 */
export class Handover {
  #chunk: Uint8Array | undefined;
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;
  #wake: (() => void)[] = [];

  /** Resolves when the chunk was taken. */
  async put(chunk: Uint8Array): Promise<void> {
    this.#assertAlive();
    this.#chunk = chunk;
    this.#changed();
    while (this.#chunk !== undefined) {
      await this.#change();
      this.#assertAlive();
    }
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  /** Ends it for both sides; without effect once it has ended. */
  fail(reason: unknown): void {
    if (!this.#ended) this.#failure ??= { reason };
    this.#changed();
  }

  async *content(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        this.#assertAlive();
        const chunk = this.#chunk;
        if (chunk !== undefined) {
          yield chunk;
          this.#chunk = undefined;
          this.#changed();
        } else if (this.#ended) return;
        else await this.#change();
      }
    } finally {
      this.fail(new ReaderGone());
    }
  }

  #assertAlive(): void {
    if (this.#failure) throw this.#failure.reason;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
