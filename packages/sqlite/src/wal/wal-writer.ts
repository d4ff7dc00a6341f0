import { createHash, randomBytes } from "node:crypto";
import { WalChecksum } from "./checksum.ts";
import { FRAME, FRAME_HEADER_BYTES } from "./frame.ts";
import { formatWalHeader, type Salts } from "./header.ts";

/**
 * Makes a well-formed WAL with salts and checksums of its own (sqlite.org/fileformat2.html, 4): laid beside
 * a database as `<file>-wal`, SQLite applies it. Its header comes first, then its frames in order.
 */
export class WalWriter {
  /** The 32 bytes that come first. */
  readonly header: Buffer;
  readonly #frameBytes: number;
  readonly #salts: Salts;
  readonly #sum: WalChecksum;

  /** @param salts random ones when left out */
  constructor(pageSize: number, salts: Salts = randomSalts()) {
    const { bytes, header } = formatWalHeader({ pageSize, salts });
    this.header = bytes;
    this.#frameBytes = FRAME_HEADER_BYTES + pageSize;
    this.#salts = salts;
    this.#sum = new WalChecksum(header.bigEndian, header.checksum);
  }

  /**
   * Turns whole frames of another WAL into the next ones of this, in their own memory: page numbers,
   * sizes and pages stay.
   */
  stamp(frames: Buffer): void {
    for (let at = 0; at < frames.length; at += this.#frameBytes) {
      frames.writeUInt32BE(this.#salts[0], at + FRAME.salt1);
      frames.writeUInt32BE(this.#salts[1], at + FRAME.salt2);
      this.#sum.add(frames, at, at + FRAME.summedBytes);
      this.#sum.add(frames, at + FRAME_HEADER_BYTES, at + this.#frameBytes);
      const [first, second] = this.#sum.words;
      frames.writeUInt32BE(first, at + FRAME.checksum1);
      frames.writeUInt32BE(second, at + FRAME.checksum2);
    }
  }
}

/** Salts that are always the same for a name. */
export function saltsFor(name: string): Salts {
  return saltsIn(createHash("sha256").update(name).digest());
}

function randomSalts(): Salts {
  return saltsIn(randomBytes(8));
}

function saltsIn(bytes: Buffer): Salts {
  return [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
}
