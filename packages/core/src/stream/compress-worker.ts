import { parentPort } from "node:worker_threads";
import { compressFrame } from "./frame.ts";

export interface CompressTask {
  readonly block: Uint8Array<ArrayBuffer>;
  readonly level: number;
}
/** Each reply hands the block's memory back. */
export type CompressReply = { readonly block: Uint8Array<ArrayBuffer> } & (
  | { readonly frame: Uint8Array<ArrayBuffer> }
  | { readonly failure: string }
);

parentPort?.on("message", ({ block, level }: CompressTask) => {
  try {
    // Copied out of Node's shared pool, so that it can be handed over without a second copy.
    const frame = new Uint8Array(compressFrame(block, level));
    parentPort?.postMessage({ block, frame } satisfies CompressReply, [block.buffer, frame.buffer]);
  } catch (thrown) {
    parentPort?.postMessage({ block, failure: String(thrown) } satisfies CompressReply, [
      block.buffer,
    ]);
  }
});
