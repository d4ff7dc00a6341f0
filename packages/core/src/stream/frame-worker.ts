import { parentPort } from "node:worker_threads";
import { compressFrame, decompressFrame } from "./frame.ts";

/** A block to compress, or a frame to unpack into `contentBytes`. */
export type FrameTask =
  | { readonly block: Uint8Array<ArrayBuffer>; readonly level: number }
  | { readonly block: Uint8Array<ArrayBuffer>; readonly contentBytes: number };
/** Each reply hands the block's memory back. */
export type FrameReply = { readonly block: Uint8Array<ArrayBuffer> } & (
  | { readonly result: Uint8Array<ArrayBuffer> }
  | { readonly failure: string }
);

parentPort?.on("message", (task: FrameTask) => {
  const { block } = task;
  try {
    const made =
      "level" in task
        ? compressFrame(block, task.level)
        : decompressFrame(block, task.contentBytes);
    // Copied only where it lies in memory that is shared, so that it can be handed over.
    const alone = made.byteLength === made.buffer.byteLength;
    const result = alone ? made : new Uint8Array(made);
    parentPort?.postMessage({ block, result } satisfies FrameReply, [block.buffer, result.buffer]);
  } catch (thrown) {
    parentPort?.postMessage({ block, failure: String(thrown) } satisfies FrameReply, [
      block.buffer,
    ]);
  }
});
