import { PackedLines } from "../packed/lines.ts";

const FIRST_SLOTS = 1 << 12;
/** Beyond that, looking for a name goes through many others. */
const MOST_FILLED = 0.6;
const EMPTY = -1;
const NAMES_IN_LINE = 1000;

/**
 * The sizes of very many files by their names, in two dozen bytes for each: of a name two hashes are kept (64 bits, of
 * which a million files hit two alike once in thirty million backups), and the names themselves packed, for messages.
 */
export class FileSizes {
  #hashes = new Uint32Array(2 * FIRST_SLOTS);
  #sizes = new Float64Array(FIRST_SLOTS).fill(EMPTY);
  #taken = new Uint8Array(FIRST_SLOTS);
  #count = 0;
  readonly #names = new PackedLines();
  #line: string[] = [];

  /** @returns false when it is known already */
  add(name: string, bytes: number): boolean {
    if (this.#count >= this.#sizes.length * MOST_FILLED) this.#grow();
    const [first, second] = hashesOf(name);
    const slot = this.#slotOf(first, second);
    if (this.#sizes[slot] !== EMPTY) return false;
    this.#put(slot, { first, second, bytes });
    this.#count++;
    this.#line.push(name);
    if (this.#line.length === NAMES_IN_LINE) this.#endLine();
    return true;
  }

  /** The size of a file, which from now on is no longer left over; undefined when it is not known, or was taken. */
  take(name: string): number | undefined {
    const slot = this.#slotOf(...hashesOf(name));
    const bytes = this.#sizes[slot] as number;
    if (bytes === EMPTY || this.#taken[slot] === 1) return undefined;
    this.#taken[slot] = 1;
    return bytes;
  }

  /** The names of those that nobody took. */
  *left(): Generator<string> {
    if (this.#taken.reduce((sum, each) => sum + each, 0) === this.#count) return;
    this.#endLine();
    for (const line of this.#names.all())
      for (const name of JSON.parse(line) as string[])
        if (this.#taken[this.#slotOf(...hashesOf(name))] === 0) yield name;
  }

  #endLine(): void {
    if (this.#line.length > 0) this.#names.add(JSON.stringify(this.#line));
    this.#line = [];
  }

  /** Where it stands, or would. */
  #slotOf(first: number, second: number): number {
    const slots = this.#sizes.length;
    for (let slot = first % slots; ; slot = (slot + 1) % slots) {
      if (this.#sizes[slot] === EMPTY) return slot;
      if (this.#hashes[2 * slot] === first && this.#hashes[2 * slot + 1] === second) return slot;
    }
  }

  #put(slot: number, { first, second, bytes }: { first: number; second: number; bytes: number }) {
    this.#hashes[2 * slot] = first;
    this.#hashes[2 * slot + 1] = second;
    this.#sizes[slot] = bytes;
  }

  #grow(): void {
    const [hashes, sizes, taken] = [this.#hashes, this.#sizes, this.#taken];
    const slots = 2 * sizes.length;
    this.#hashes = new Uint32Array(2 * slots);
    this.#sizes = new Float64Array(slots).fill(EMPTY);
    this.#taken = new Uint8Array(slots);
    for (const [old, bytes] of sizes.entries()) {
      if (bytes === EMPTY) continue;
      const first = hashes[2 * old] as number;
      const second = hashes[2 * old + 1] as number;
      const slot = this.#slotOf(first, second);
      this.#put(slot, { first, second, bytes });
      this.#taken[slot] = taken[old] as number;
    }
  }
}

/** Two sums over the characters (MurmurHash3's mixing), which have nothing to do with each other. */
function hashesOf(name: string): [number, number] {
  let first = 0x9747b28c;
  let second = 0x3c6ef372;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    first = mixed(first ^ Math.imul(code + 1, 0xcc9e2d51));
    second = mixed(second + Math.imul(code + at + 1, 0x1b873593));
  }
  return [mixed(first ^ name.length) >>> 0, mixed(second ^ name.length) >>> 0];
}

function mixed(value: number): number {
  const one = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const two = Math.imul(one ^ (one >>> 13), 0xc2b2ae35);
  return two ^ (two >>> 16);
}
