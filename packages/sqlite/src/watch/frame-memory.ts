import { release } from "@lifeboat/core";
import { FRAME_HEADER_BYTES } from "../wal/frame.ts";

const PIECE_BYTES = 1 << 20;
/** What is kept for the next segments: what a busy product commits in two seconds. Beyond, it is given back. */
const MOST_SPARES = 16;

/**
 * Memory for the frames of segments, used again by one segment after the other: of fresh memory the kernel clears each page,
 * and V8 looks for garbage the more of it there was.
 */
export class FrameMemory {
  /** Of one piece: whole frames, at least one. */
  readonly pieceBytes: number;
  readonly #spares: Buffer[] = [];

  constructor(pageSize: number) {
    const frameBytes = FRAME_HEADER_BYTES + pageSize;
    this.pieceBytes = Math.max(1, Math.floor(PIECE_BYTES / frameBytes)) * frameBytes;
  }

  /** A piece with whatever was in it. */
  obtain(): Buffer {
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(this.pieceBytes);
  }

  /** Takes a piece back. Whoever gave it may not use it any more. */
  giveBack(piece: Buffer): void {
    if (this.#spares.length < MOST_SPARES) this.#spares.push(piece);
    else release(piece);
  }
}
