import { createHash, type Hash } from "node:crypto";
import { FRAME, FRAME_HEADER_BYTES } from "../wal/frame.ts";
import { type SegmentNote, wrongLogObject } from "./note.ts";

/** What the first segment of a lineage is tied to. */
export function chainStart(lineage: string): string {
  return createHash("sha256").update(lineage).digest("hex");
}

/**
 * Ties a segment to the one before: SHA-256 of `before` (32 bytes) followed by the SHA-256 of the
 * segment's frames, each as its page number (four bytes, big-endian) and its page.
 */
export class LogChain {
  readonly #before: string;
  readonly #frames: Hash = createHash("sha256");

  constructor(before: string) {
    this.#before = before;
  }

  add(number: number, page: Uint8Array): void {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(number);
    this.#frames.update(head).update(page);
  }

  /**
   * Adds whole frames of a WAL as they lie one after the other. Each page's number is written before the page, where
   * the second word of the frame's checksum was: in one piece they cost half.
   */
  addFrames(frames: Buffer, pageSize: number): void {
    const frameBytes = FRAME_HEADER_BYTES + pageSize;
    for (let at = 0; at < frames.length; at += frameBytes) {
      frames.copy(frames, at + FRAME.checksum2, at + FRAME.page, at + FRAME.page + 4);
      this.#frames.update(frames.subarray(at + FRAME.checksum2, at + frameBytes));
    }
  }

  /** Ends it; call once. */
  after(): string {
    const before = Buffer.from(this.#before, "hex");
    return createHash("sha256").update(before).update(this.#frames.digest()).digest("hex");
  }
}

/** Where in a lineage's chain an object lies. */
export type Span = Pick<SegmentNote, "lineage" | "first" | "last" | "chain">;

/**
 * Proves that an object follows the one of its lineage that was applied before it: its first segment the other's last.
 * @param before undefined for the first that is applied
 * @throws LifeboatError `LOG_OBJECT_INVALID`
 */
export function assertFollows(span: Span, before: Span | undefined, object: string): void {
  if (span.first === 1 && span.chain.before !== chainStart(span.lineage))
    throw wrongLogObject(object, "is the first of its lineage, and is not tied to it");
  if (before && span.first === before.last + 1 && span.chain.before !== before.chain.after)
    throw wrongLogObject(object, `is not tied to segment ${before.last}, which lies before it`);
}
