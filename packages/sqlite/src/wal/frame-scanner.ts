import { type ChecksumWords, WalChecksum } from "./checksum.ts";
import { FRAME, FRAME_HEADER_BYTES } from "./frame.ts";
import type { WalHeader } from "./header.ts";

/** A point in a WAL right after a transaction's last frame, or before the first. */
export interface ScanPoint {
  /** Frames before it. */
  readonly frames: number;
  /** The cumulative checksum up to it. */
  readonly checksum: ChecksumWords;
  /** Pages of the database after that transaction; 0 before the first. */
  readonly pages: number;
}

/** Called for each valid frame, in order: where its page's bytes lie, and whether it ends a transaction. */
export type FrameVisitor = (frame: {
  readonly page: number;
  /** Pages of the database after the transaction that this frame ends; 0 within one. */
  readonly commitPages: number;
  /** Where the frame's header starts in the bytes that were given. */
  readonly at: number;
}) => void;

/**
 * Reads the frames of a WAL as SQLite's recovery does (sqlite.org/fileformat2.html, 4.1): each must
 * bear the header's salts and continue the cumulative checksum; the first that does not ends the
 * WAL, whatever the file's size says, since frames of an older run lie behind.
 */
export class FrameScanner {
  readonly header: WalHeader;
  readonly frameBytes: number;
  readonly #sum: WalChecksum;
  #frames: number;
  #committed: ScanPoint;
  #ended = false;

  /** @param from where to go on; the WAL's start when left out */
  constructor(header: WalHeader, from?: ScanPoint) {
    this.header = header;
    this.frameBytes = FRAME_HEADER_BYTES + header.pageSize;
    this.#committed = from ?? { frames: 0, checksum: header.checksum, pages: 0 };
    this.#sum = new WalChecksum(header.bigEndian, this.#committed.checksum);
    this.#frames = this.#committed.frames;
  }

  /** After the last whole transaction so far. */
  get committed(): ScanPoint {
    return this.#committed;
  }

  /** Valid frames so far, of a transaction that is not whole too. */
  get frames(): number {
    return this.#frames;
  }

  /** A frame was met that does not belong: nothing behind it does. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Reads the whole frames at the start of `bytes`, which follow those read before.
   * @returns how many bytes of valid frames there were; give the rest again, with more behind it
   */
  scan(bytes: Buffer, visit?: FrameVisitor): number {
    let at = 0;
    while (!this.#ended && at + this.frameBytes <= bytes.length) {
      if (!this.#isNext(bytes, at)) {
        this.#ended = true;
        break;
      }
      this.#frames++;
      const commitPages = bytes.readUInt32BE(at + FRAME.commitPages);
      if (commitPages !== 0)
        this.#committed = { frames: this.#frames, checksum: this.#sum.words, pages: commitPages };
      visit?.({ page: bytes.readUInt32BE(at + FRAME.page), commitPages, at });
      at += this.frameBytes;
    }
    return at;
  }

  #isNext(bytes: Buffer, at: number): boolean {
    const { salts } = this.header;
    if (bytes.readUInt32BE(at + FRAME.salt1) !== salts[0]) return false;
    if (bytes.readUInt32BE(at + FRAME.salt2) !== salts[1]) return false;
    if (bytes.readUInt32BE(at + FRAME.page) === 0) return false;
    this.#sum.add(bytes, at, at + FRAME.summedBytes);
    this.#sum.add(bytes, at + FRAME_HEADER_BYTES, at + this.frameBytes);
    return this.#sum.is(
      bytes.readUInt32BE(at + FRAME.checksum1),
      bytes.readUInt32BE(at + FRAME.checksum2),
    );
  }
}
