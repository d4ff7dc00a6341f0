import { endianness } from "node:os";

/** The two running words of a WAL's checksum (sqlite.org/fileformat2.html, 4.2). */
export type WalSum = readonly [number, number];

/** The lowest bit of the magic tells in which order the words were read that are summed. */
export const NATIVE_MAGIC: number = endianness() === "LE" ? 0x377f0682 : 0x377f0683;

/**
 * The running checksum in this machine's own order of bytes, which is the fast one.
 * @param bytes a multiple of eight, beginning at a multiple of four in its memory
 */
export function nativeWalSum(bytes: Buffer, before: WalSum): WalSum {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let [first, second] = before as [number, number];
  for (let at = 0; at < words.length; at += 2) {
    first = (first + (words[at] as number) + second) | 0;
    second = (second + (words[at + 1] as number) + first) | 0;
  }
  return [first >>> 0, second >>> 0];
}
