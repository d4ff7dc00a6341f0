/**
 * Gives memory back now rather than when garbage is collected, so that the next buffer of this size gets the same pages
 * again: of fresh ones the kernel clears each, which costs more than a SHA-256 of it. The bytes are gone afterwards. A view of
 * a part of some memory, or of shared memory, is left alone: the rest is others'.
 */
export function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffer.transfer(0);
}
