import type { Lsn } from "./lsn.ts";
import {
  bytesOfInterest,
  RECORD_HEADER,
  readMark,
  readRecordHeader,
  type WalMark,
} from "./mark.ts";
import { type PageHeader, readPageHeader } from "./page.ts";

/** It grows for the records that want more. */
const USUAL_HEAD = 2048;

/**
 * Follows the records of a run of WAL, page by page, across pages and segments, and picks out the
 * marks. It does not compute the records' CRC; the chain of `xl_prev`, each record naming the one
 * before, tells true records from what an older use of the file left behind.
 */
export class RecordScanner {
  /** The last whole record seen: where it begins. */
  lastRecord: Lsn | undefined;
  /** Where the one behind it would begin: what a server calls its position once that one is written. */
  lastEnd: Lsn | undefined;
  /** Where and why the chain ended before the bytes did; undefined while it holds. */
  broken: { readonly at: Lsn; readonly why: string } | undefined;

  readonly #segmentBytes: number;
  readonly #pageBytes: number;
  #address: number;
  #page: Buffer;
  #filled = 0;
  /** Bytes still to come of the record under way, or of one that began before the scan. */
  #missing = 0;
  #recordStart: number | undefined;
  #head: Buffer = Buffer.alloc(USUAL_HEAD);
  #headFilled = 0;
  /** After a segment switch the rest of the segment means nothing. */
  #skipTo = 0;
  #marks: WalMark[] = [];

  /** Whether a record has begun whose end has not been seen. */
  get underWay(): boolean {
    return this.#recordStart !== undefined;
  }

  /** The first byte that it has not looked at. */
  get position(): Lsn {
    return BigInt(this.#address);
  }

  /** @param start where the scan begins: the first byte of a segment */
  constructor(init: { start: Lsn; segmentBytes: number; pageBytes?: number }) {
    this.#segmentBytes = init.segmentBytes;
    this.#pageBytes = init.pageBytes ?? 8192;
    this.#address = Number(init.start);
    this.#page = Buffer.allocUnsafe(this.#pageBytes);
  }

  /** Another that goes on from here, while this one stays where it is. */
  fork(): RecordScanner {
    const start = BigInt(this.#address);
    const sizes = { segmentBytes: this.#segmentBytes, pageBytes: this.#pageBytes };
    const other = new RecordScanner({ start, ...sizes });
    other.lastRecord = this.lastRecord;
    other.lastEnd = this.lastEnd;
    other.broken = this.broken;
    other.#page.set(this.#page);
    other.#filled = this.#filled;
    other.#missing = this.#missing;
    other.#recordStart = this.#recordStart;
    other.#head = Buffer.from(this.#head);
    other.#headFilled = this.#headFilled;
    other.#skipTo = this.#skipTo;
    return other;
  }

  /** Takes the next bytes and gives the marks that became whole by them. */
  push(chunk: Uint8Array): WalMark[] {
    this.#marks = [];
    for (let taken = 0; taken < chunk.length && this.broken === undefined; ) {
      const part = chunk.subarray(taken, taken + this.#pageBytes - this.#filled);
      this.#page.set(part, this.#filled);
      this.#filled += part.length;
      taken += part.length;
      if (this.#filled === this.#pageBytes) this.#endPage();
    }
    return this.#marks;
  }

  #endPage(): void {
    if (this.#address >= this.#skipTo) this.#scanPage();
    this.#filled = 0;
    this.#address += this.#pageBytes;
  }

  #scanPage(): void {
    const header = readPageHeader(this.#page);
    if (!header || Number(header.address) !== this.#address) {
      this.#break("the page is none of this place");
      return;
    }
    if (!this.#joinPage(header)) return;
    let at = header.length;
    while (at < this.#pageBytes && this.broken === undefined) {
      if (this.#missing === 0 && !this.#beginRecord(at)) return;
      at = this.#takeBytes(at);
      if (this.#missing === 0) {
        this.#endRecord(at);
        if (this.#skipTo > this.#address) return;
        at = Math.ceil(at / 8) * 8;
      }
    }
  }

  /** Makes the page's claim about a continued record agree with what is under way. */
  #joinPage(header: PageHeader): boolean {
    if (header.overwrites) {
      this.#missing = 0;
      this.#recordStart = undefined;
      return true;
    }
    // The scan began in the midst of a record: its rest is passed over.
    if (this.lastRecord === undefined && this.#recordStart === undefined)
      this.#missing = header.continued;
    else if (header.continued !== this.#missing) this.#break("a record is not continued");
    return this.broken === undefined;
  }

  #beginRecord(at: number): boolean {
    const length = this.#page.readUInt32LE(at);
    if (length < RECORD_HEADER) {
      this.#break(length === 0 ? "the records end" : "a record is shorter than its header", at);
      return false;
    }
    this.#recordStart = this.#address + at;
    this.#missing = length;
    this.#headFilled = 0;
    return true;
  }

  #takeBytes(at: number): number {
    const count = Math.min(this.#missing, this.#pageBytes - at);
    if (this.#recordStart !== undefined) this.#keepHead(this.#page.subarray(at, at + count));
    this.#missing -= count;
    return at + count;
  }

  /** The header first: it says how much of the record is kept. */
  #keepHead(bytes: Buffer): void {
    const taken = this.#keep(bytes, RECORD_HEADER);
    if (this.#headFilled >= RECORD_HEADER)
      this.#keep(bytes.subarray(taken), bytesOfInterest(this.#head));
  }

  /** Up to so many in all. */
  #keep(bytes: Buffer, most: number): number {
    const count = Math.min(bytes.length, Math.max(0, most - this.#headFilled));
    const filled = this.#headFilled + count;
    if (filled > this.#head.length) {
      const larger = Buffer.alloc(Math.max(filled, 2 * this.#head.length));
      this.#head.copy(larger, 0, 0, this.#headFilled);
      this.#head = larger;
    }
    bytes.copy(this.#head, this.#headFilled, 0, count);
    this.#headFilled = filled;
    return count;
  }

  #endRecord(at: number): void {
    const start = this.#recordStart;
    this.#recordStart = undefined;
    if (start === undefined) return;
    const head = this.#head.subarray(0, this.#headFilled);
    const header = readRecordHeader(head, this.#page.readUInt16LE(0));
    if (this.lastRecord !== undefined && header.previous !== this.lastRecord) {
      this.#break("a record does not name the one before it", start - this.#address);
      return;
    }
    this.lastRecord = BigInt(start);
    this.lastEnd = BigInt(this.#address + Math.ceil(at / 8) * 8);
    const mark = readMark(this.lastRecord, header, head);
    if (!mark) return;
    this.#marks.push(mark);
    if (mark.kind !== "switch") return;
    this.#skipTo = this.#nextSegment();
    this.lastEnd = BigInt(this.#skipTo);
  }

  #nextSegment(): number {
    return (Math.floor(this.#address / this.#segmentBytes) + 1) * this.#segmentBytes;
  }

  #break(why: string, offset = 0): void {
    this.broken = { at: BigInt(this.#address + offset), why };
  }
}
