import { parentPort } from "node:worker_threads";
import { decompressFrame } from "./frame.ts";

/** A frame to unpack into `contentBytes`. */
export interface FrameTask {
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly contentBytes: number;
}

export type FrameReply =
  | { readonly content: Uint8Array<ArrayBuffer> }
  | { readonly failure: string };

parentPort?.on("message", ({ frame, contentBytes }: FrameTask) => {
  try {
    const made = decompressFrame(frame, contentBytes);
    // Copied only where it lies in memory that is shared, so that it can be handed over.
    const alone = made.byteLength === made.buffer.byteLength;
    const content = alone ? made : new Uint8Array(made);
    parentPort?.postMessage({ content } satisfies FrameReply, [content.buffer]);
  } catch (thrown) {
    parentPort?.postMessage({ failure: String(thrown) } satisfies FrameReply);
  }
});
