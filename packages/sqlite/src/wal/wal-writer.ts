import { createHash, randomBytes } from "node:crypto";
import { NATIVE_MAGIC, nativeWalSum, type WalSum } from "./checksum.ts";

const VERSION = 3007000;
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** Writes a well-formed WAL with salts of its own, frame by frame (sqlite.org/fileformat2.html, 4). */
export class WalWriter {
  readonly #pageSize: number;
  readonly #salts: Buffer;
  #sum: WalSum = [0, 0];

  /** @param salts eight bytes; random ones when left out */
  constructor(pageSize: number, salts: Buffer = randomBytes(8)) {
    this.#pageSize = pageSize;
    this.#salts = salts;
  }

  /** To be written first, once. */
  header(): Buffer {
    const header = Buffer.from(new ArrayBuffer(HEADER_BYTES));
    header.writeUInt32BE(NATIVE_MAGIC, 0);
    header.writeUInt32BE(VERSION, 4);
    header.writeUInt32BE(this.#pageSize, 8);
    this.#salts.copy(header, 16);
    this.#sum = nativeWalSum(header.subarray(0, 24), this.#sum);
    header.writeUInt32BE(this.#sum[0], 24);
    header.writeUInt32BE(this.#sum[1], 28);
    return header;
  }

  /**
   * The next frame.
   * @param pagesAfter the pages of the database after this frame's commit; 0 while its transaction goes on
   */
  frame(number: number, page: Uint8Array, pagesAfter: number): Buffer {
    const frame = Buffer.from(new ArrayBuffer(FRAME_HEADER_BYTES + this.#pageSize));
    frame.writeUInt32BE(number, 0);
    frame.writeUInt32BE(pagesAfter, 4);
    this.#salts.copy(frame, 8);
    frame.set(page, FRAME_HEADER_BYTES);
    const begun = nativeWalSum(frame.subarray(0, 8), this.#sum);
    this.#sum = nativeWalSum(frame.subarray(FRAME_HEADER_BYTES), begun);
    frame.writeUInt32BE(this.#sum[0], 16);
    frame.writeUInt32BE(this.#sum[1], 20);
    return frame;
  }
}

/** Salts that are always the same for a name. */
export function saltsFor(name: string): Buffer {
  return createHash("sha256").update(name).digest().subarray(0, 8);
}
