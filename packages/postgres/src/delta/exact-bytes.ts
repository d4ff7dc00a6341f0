/** Takes so many bytes at once from a stream, wherever its chunks end. */
export class ExactBytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(content: AsyncIterable<Uint8Array>) {
    this.#chunks = content[Symbol.asyncIterator]();
  }

  /** Fills the memory; false where the stream ends before. */
  async fill(memory: Uint8Array): Promise<boolean> {
    for (let filled = 0; filled < memory.length; ) {
      while (this.#chunk.length === 0) {
        const next = await this.#chunks.next();
        if (next.done) return false;
        this.#chunk = next.value;
      }
      const part = this.#chunk.subarray(0, memory.length - filled);
      memory.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return true;
  }
}
