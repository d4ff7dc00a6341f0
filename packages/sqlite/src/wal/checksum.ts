import { endianness } from "node:os";

/** The state of a WAL's cumulative checksum: two words of 32 bits. */
export type ChecksumWords = readonly [first: number, second: number];

const HOST_IS_LITTLE = endianness() === "LE";

/**
 * The running checksum of a WAL's header and frames (sqlite.org/fileformat2.html, 4.2): over 32-bit
 * words, two at a time, in the byte order that the WAL's magic number names. It is the inner loop of
 * shipping and of restoring: words are read through a typed array where memory lies right for it.
 */
export class WalChecksum {
  readonly #swapped: boolean;
  #first: number;
  #second: number;

  /** @param bigEndian the byte order of the words that are summed */
  constructor(bigEndian: boolean, [first, second]: ChecksumWords = [0, 0]) {
    this.#swapped = bigEndian === HOST_IS_LITTLE;
    this.#first = first | 0;
    this.#second = second | 0;
  }

  get words(): ChecksumWords {
    return [this.#first >>> 0, this.#second >>> 0];
  }

  /** Whether a stored checksum, as unsigned words, is the one of all that was added. */
  is(first: number, second: number): boolean {
    return (first | 0) === this.#first && (second | 0) === this.#second;
  }

  /** Adds the bytes from `start` to `end`, a multiple of eight. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const words = wordsOf(bytes, start, end);
    let first = this.#first;
    let second = this.#second;
    if (this.#swapped)
      for (let at = 0; at < words.length; at += 2) {
        first = (first + swap(words[at] as number) + second) | 0;
        second = (second + swap(words[at + 1] as number) + first) | 0;
      }
    else
      for (let at = 0; at < words.length; at += 2) {
        first = (first + (words[at] as number) + second) | 0;
        second = (second + (words[at + 1] as number) + first) | 0;
      }
    this.#first = first;
    this.#second = second;
  }
}

function wordsOf(bytes: Uint8Array, start: number, end: number): Int32Array {
  const at = bytes.byteOffset + start;
  if (at % 4 === 0) return new Int32Array(bytes.buffer, at, (end - start) >> 2);
  const copy = bytes.slice(start, end);
  return new Int32Array(copy.buffer, copy.byteOffset, copy.length >> 2);
}

function swap(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | ((word >>> 24) & 0xff);
}
