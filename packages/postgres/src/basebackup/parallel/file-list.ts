import type { BackupFile } from "./backup-file.ts";

const FIRST_FILES = 1 << 10;
const FIRST_BYTES = 1 << 15;

/** Files in an order, made anew for each who looks at them. */
export interface Files extends Iterable<BackupFile> {
  readonly length: number;
}

/**
 * Very many files of a cluster, in four dozen bytes for each: as objects with their paths they take four times as much,
 * and a cluster may have a million of them.
 */
export class FileList implements Files {
  length = 0;
  /** Paths in UTF-8, one behind the other. */
  #paths = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #pathBytes = 0;
  /** Where each path ends. */
  #ends = new Float64Array(FIRST_FILES);
  #bytes = new Float64Array(FIRST_FILES);
  #modifiedMs = new Float64Array(FIRST_FILES);
  #modes = new Uint16Array(FIRST_FILES);

  static of(files: Iterable<BackupFile>): FileList {
    const list = new FileList();
    for (const file of files) list.add(file);
    return list;
  }

  add({ path, bytes, mode, modifiedMs }: BackupFile): void {
    const needed = this.#pathBytes + Buffer.byteLength(path);
    if (needed > this.#paths.length) this.#growPaths(needed);
    if (this.length === this.#modes.length) this.#grow();
    this.#pathBytes += this.#paths.write(path, this.#pathBytes);
    this.#ends[this.length] = this.#pathBytes;
    this.#bytes[this.length] = bytes;
    this.#modifiedMs[this.length] = modifiedMs;
    this.#modes[this.length] = mode;
    this.length++;
  }

  at(index: number): BackupFile {
    const start = index === 0 ? 0 : this.#ends[index - 1];
    return {
      path: this.#paths.toString("utf8", start, this.#ends[index]),
      bytes: this.#bytes[index] as number,
      mode: this.#modes[index] as number,
      modifiedMs: this.#modifiedMs[index] as number,
    };
  }

  *[Symbol.iterator](): Generator<BackupFile> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** Of all files. */
  get totalBytes(): number {
    return this.#bytes.subarray(0, this.length).reduce((sum, bytes) => sum + bytes, 0);
  }

  get newestMs(): number {
    return this.#modifiedMs.subarray(0, this.length).reduce((a, b) => Math.max(a, b), 0);
  }

  /** All files by their numbers, the largest first; of two of one size the earlier. */
  largestFirst(): Uint32Array {
    const order = Uint32Array.from({ length: this.length }, (_, index) => index);
    return order.sort((a, b) => (this.#bytes[b] as number) - (this.#bytes[a] as number));
  }

  /** Some of them, by their numbers. */
  select(numbers: readonly number[]): Files {
    const chosen = Uint32Array.from(numbers);
    const at = (index: number) => this.at(index);
    return {
      length: chosen.length,
      *[Symbol.iterator]() {
        for (const index of chosen) yield at(index);
      },
    };
  }

  #growPaths(needed: number): void {
    const more = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#paths.length));
    this.#paths.copy(more);
    this.#paths = more;
  }

  #grow(): void {
    const size = 2 * this.length;
    const longer = (old: Float64Array) => {
      const more = new Float64Array(size);
      more.set(old);
      return more;
    };
    this.#ends = longer(this.#ends);
    this.#bytes = longer(this.#bytes);
    this.#modifiedMs = longer(this.#modifiedMs);
    const modes = new Uint16Array(size);
    modes.set(this.#modes);
    this.#modes = modes;
  }
}
