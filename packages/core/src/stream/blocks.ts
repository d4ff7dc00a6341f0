/**
 * Cuts a stream into blocks of exactly `size` bytes, the last one shorter. Each block owns its
 * memory, so it may be handed to another thread. An empty stream yields no block.
 * @param obtain gives the memory of `size` bytes for a block; blocks that were handed back save the
 *   cost of fresh ones
 */
export async function* blocksOf(
  content: AsyncIterable<Uint8Array>,
  size: number,
  obtain: () => Uint8Array<ArrayBuffer> = () => new Uint8Array(size),
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let block = obtain();
  let filled = 0;
  for await (const chunk of content) {
    let taken = 0;
    while (taken < chunk.length) {
      const part = chunk.subarray(taken, taken + size - filled);
      block.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled === size) {
        yield block;
        block = obtain();
        filled = 0;
      }
    }
  }
  if (filled > 0) yield block.slice(0, filled);
}
