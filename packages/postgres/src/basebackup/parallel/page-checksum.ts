/**
 * The checksum of a page (src/include/storage/checksum_impl.h of PostgreSQL): 32 sums side by side, each an
 * FNV-1a variant over every 32nd word of the page, folded into 16 bits with the block's number.
 */
const PRIME = 16_777_619;
const LANES = 32;
const BASES = Int32Array.of(
  0x5b1f36e9,
  0xb8525960,
  0x02ab50aa,
  0x1de66d2a,
  0x79ff467a,
  0x9bb9f8a3,
  0x217e7cd2,
  0x83e13d2c,
  0xf8d4474f,
  0xe39eb970,
  0x42c6ae16,
  0x993216fa,
  0x7b093b5d,
  0x98daff3c,
  0xf718902a,
  0x0b1c9cdb,
  0xe58f764b,
  0x187636bc,
  0x5d7b3bb1,
  0xe73de7de,
  0x92bec979,
  0xcca6c0b2,
  0x304a0979,
  0x85aa43d4,
  0x783125bb,
  0x6ca8eaa2,
  0xe407eac6,
  0x4b5cfc3e,
  0x9fbf8c76,
  0x15ca20be,
  0xf2ca9fd3,
  0x959bd756,
);
/** Of the word that holds the checksum in its lower half, which counts as zero; the upper half are flags. */
const CHECKSUM_WORD = 2;
const FLAGS_HALF = ~0xffff;

/**
 * @param words the page, as 32-bit words of the server's byte order (little-endian)
 * @param block its number in the relation's fork, all segments counted
 */
export function pageChecksum(words: Int32Array, block: number): number {
  let sum = 0;
  for (let lane = 0; lane < LANES; lane++) {
    let hash = BASES[lane] as number;
    for (let at = lane; at < words.length; at += LANES) {
      const word = words[at] as number;
      hash = mixed(hash, at === CHECKSUM_WORD ? word & FLAGS_HALF : word);
    }
    sum ^= mixed(mixed(hash, 0), 0);
  }
  return (((sum ^ block) >>> 0) % 65_535) + 1;
}

function mixed(hash: number, word: number): number {
  const value = hash ^ word;
  return Math.imul(value, PRIME) ^ (value >>> 17);
}
