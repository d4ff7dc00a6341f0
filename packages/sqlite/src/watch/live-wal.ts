import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { isSystemError } from "@lifeboat/core";
import type { ChecksumWords } from "../wal/checksum.ts";
import { FRAME, FRAME_HEADER_BYTES } from "../wal/frame.ts";
import { FrameScanner, type ScanPoint } from "../wal/frame-scanner.ts";
import { parseWalHeader, type Salts, WAL_HEADER_BYTES, type WalHeader } from "../wal/header.ts";
import type { LogPlace } from "../wal/place.ts";
import { Hole } from "./hole.ts";

const CHUNK_BYTES = 1 << 20;

/** Committed frames that were found since the last look: from one point of a run to another. */
export interface NewFrames {
  readonly from: ScanPoint;
  readonly to: ScanPoint;
}

/**
 * The `-wal` file of a live database, read as plain bytes in the process that holds it. That is
 * allowed for this file alone: SQLite keeps no lock on it, while closing any descriptor of the
 * database or its `-shm` would drop all of this process' locks (sqlite.org/howtocorrupt.html, 2.2).
 *
 * Nothing is trusted but salts and checksums. What was committed stays as it is for as long as a
 * reader holds the WAL, so it may be read again later.
 */
export class LiveWal {
  readonly #path: string;
  readonly #pageSize: number;
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES + (1 << 17));
  #file: number | undefined;
  #inode = 0;
  #scanner: FrameScanner | undefined;

  /** @param path of the database */
  constructor(path: string, pageSize: number) {
    this.#path = `${path}-wal`;
    this.#pageSize = pageSize;
  }

  /** The header as it stands; undefined where there is no WAL yet, or one that is just being begun. */
  header(): WalHeader | undefined {
    if (!this.#open()) return undefined;
    const bytes = Buffer.alloc(WAL_HEADER_BYTES);
    if (this.#readAt(bytes, 0) < bytes.length) return undefined;
    const header = parseWalHeader(bytes, this.#pageSize);
    return typeof header === "string" ? undefined : header;
  }

  /** The run that is being read; undefined before the first. */
  get run(): WalHeader | undefined {
    return this.#scanner?.header;
  }

  /**
   * Whether a header is another than that of the run that is being read. Its salts alone do not tell: where the first transaction of a run
   * was rolled back, the next writer writes the header again, with the same salts and its own count of checkpoints
   * (sqlite.org/fileformat2.html, 4.1), and the frames' checksums go on from that one's.
   */
  isOther({ salts, checksum }: WalHeader): boolean {
    const own = this.run;
    return own === undefined || !areSame(own.salts, salts) || !areSame(own.checksum, checksum);
  }

  /** Reads from now on the run of this header, from its start or from a point of it. */
  begin(header: WalHeader, from?: ScanPoint): void {
    this.#scanner = new FrameScanner(header, from);
  }

  /** After the last transaction that was found. */
  get committed(): ScanPoint {
    return this.#scanner?.committed ?? NOTHING;
  }

  /** The same as a place that says what lies before it. */
  get place(): LogPlace {
    return this.placeOf(this.committed);
  }

  /** A point of the present run as a place. */
  placeOf({ frames, checksum }: ScanPoint): LogPlace {
    const [salt1, salt2] = this.run?.salts ?? [0, 0];
    return { salt1, salt2, frames, checksum1: checksum[0], checksum2: checksum[1] };
  }

  /** Bytes of whole frames that were found. */
  get committedBytes(): number {
    return this.committed.frames * (FRAME_HEADER_BYTES + this.#pageSize);
  }

  /** Whether the file that was read last lies there still. */
  get isInPlace(): boolean {
    return this.#file !== undefined && inodeOf(this.#path) === this.#inode;
  }

  /** The file's size; 0 where there is none. */
  get fileBytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Whether a place lies in this run: then all before it is as it was, since the checksum there is
   * over all of it.
   */
  holds(header: WalHeader, place: LogPlace): boolean {
    if (!isOfRun(header, place)) return false;
    if (place.frames === 0) return isChecksum(header.checksum, place);
    const frame = Buffer.alloc(FRAME_HEADER_BYTES);
    const at = WAL_HEADER_BYTES + (place.frames - 1) * (FRAME_HEADER_BYTES + this.#pageSize);
    if (this.#readAt(frame, at) < frame.length) return false;
    const word = (offset: number) => frame.readUInt32BE(offset);
    if (word(FRAME.salt1) !== place.salt1 || word(FRAME.salt2) !== place.salt2) return false;
    return isChecksum([word(FRAME.checksum1), word(FRAME.checksum2)], place);
  }

  /**
   * Looks for further transactions; undefined when there are none.
   *
   * A transaction that outgrows its cache writes frames before its commit, and may write them again
   * (iReCksum in SQLite's wal.c), or it is rolled back and others are written over them. What was read of it then
   * leads nowhere, and is read from its start.
   * @param logged frames that are committed by the WAL's index, which tells that there is something to be read, and
   *   that not all of it was found; negative where it could not be asked, as in the moment in which a writer changes it. Nothing is
   *   read then: what lies behind it may look like a commit, and be overwritten, where its writer is killed before the index tells it
   */
  advance(logged: number): NewFrames | undefined {
    if (!this.#scanner) return undefined;
    const from = this.committed;
    if (logged < 0 || logged === from.frames) return undefined;
    this.#scan(logged);
    if (this.committed.frames < logged) {
      this.#scanner = new FrameScanner(this.#scanner.header, this.committed);
      this.#scan(logged);
    }
    return this.committed === from ? undefined : { from, to: this.committed };
  }

  /**
   * The frames from one number up to another, as they lie in the file.
   * @param begin frames before the first one wanted
   * @throws Error where they may be those of another run: whoever begins a WAL anew writes its header first
   */
  frames(begin: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow((end - begin) * this.#running().frameBytes);
    this.fill(bytes, begin);
    const header = this.header();
    if (!header || this.isOther(header))
      throw new Error(`${this.#path} was begun anew before all that was read of it was stored`);
    return bytes;
  }

  /**
   * Fills memory with frames as they lie in the file.
   * @param begin frames before the first one wanted
   * @throws Hole where the file has ended before them: while hold is taken another process may empty it, that has copied all back
   */
  fill(memory: Buffer, begin: number): void {
    const read = this.#readAt(memory, this.#offset(begin));
    if (read < memory.length) throw new Hole("the WAL was shortened while it was read");
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** What lies behind what is committed is of an older run, or not committed yet: read again and again for nothing. */
  #scan(logged: number): void {
    const scanner = this.#running();
    while (!scanner.ended) {
      const missing = Math.max(0, logged - scanner.frames);
      const wanted = Math.min(this.#chunk.length, missing * scanner.frameBytes);
      const chunk = this.#chunk.subarray(0, wanted);
      const read = this.#readAt(chunk, this.#offset(scanner.frames));
      const taken = scanner.scan(chunk.subarray(0, read));
      if (taken === 0) return;
    }
  }

  #running(): FrameScanner {
    if (!this.#scanner) throw new Error("no run of the WAL is being read");
    return this.#scanner;
  }

  #offset(frames: number): number {
    return WAL_HEADER_BYTES + frames * this.#running().frameBytes;
  }

  /** The file is made anew when the last connection was closed and the next one is opened. */
  #open(): boolean {
    const inode = inodeOf(this.#path);
    if (this.#file !== undefined && inode === this.#inode) return true;
    this.close();
    if (inode === undefined) return false;
    try {
      this.#file = openSync(this.#path, "r");
      this.#inode = fstatSync(this.#file).ino;
      return true;
    } catch (thrown) {
      if (isSystemError(thrown, "ENOENT")) return false;
      throw thrown;
    }
  }

  /** Fills the buffer as far as the file goes. */
  #readAt(buffer: Buffer, position: number): number {
    let filled = 0;
    while (filled < buffer.length && this.#file !== undefined) {
      const read = readSync(this.#file, buffer, filled, buffer.length - filled, position + filled);
      if (read === 0) break;
      filled += read;
    }
    return filled;
  }
}

/** Whether a place was reached in the run with this header. */
export function isOfRun({ salts }: WalHeader, { salt1, salt2 }: LogPlace): boolean {
  return areSame(salts, [salt1, salt2]);
}

const NOTHING: ScanPoint = { frames: 0, checksum: [0, 0], pages: 0 };

function isChecksum(words: ChecksumWords, { checksum1, checksum2 }: LogPlace): boolean {
  return areSame(words, [checksum1, checksum2]);
}

function areSame(ones: Salts | ChecksumWords, others: Salts | ChecksumWords): boolean {
  return ones[0] === others[0] && ones[1] === others[1];
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
