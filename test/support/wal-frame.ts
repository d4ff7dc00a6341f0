import { FRAME, FRAME_HEADER_BYTES } from "../../packages/sqlite/src/wal/frame.ts";
import type { WalWriter } from "../../packages/sqlite/src/wal/wal-writer.ts";

/**
 * The next frame of a WAL.
 * @param pagesAfter the pages of the database after this frame's commit; 0 while its transaction goes on
 */
export function nextFrame(
  writer: WalWriter,
  { number, page, pagesAfter }: { number: number; page: Uint8Array; pagesAfter: number },
): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + page.length);
  frame.writeUInt32BE(number, FRAME.page);
  frame.writeUInt32BE(pagesAfter, FRAME.commitPages);
  frame.set(page, FRAME_HEADER_BYTES);
  writer.stamp(frame);
  return frame;
}
