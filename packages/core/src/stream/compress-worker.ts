import { parentPort } from "node:worker_threads";
import { compressFrame } from "./frame.ts";

export interface CompressTask {
  readonly block: Uint8Array<ArrayBuffer>;
  readonly level: number;
}
export type CompressReply =
  | { readonly frame: Uint8Array<ArrayBuffer> }
  | { readonly failure: string };

parentPort?.on("message", ({ block, level }: CompressTask) => {
  try {
    // Copied out of Node's shared pool, so that it can be handed over without a second copy.
    const frame = new Uint8Array(compressFrame(block, level));
    parentPort?.postMessage({ frame } satisfies CompressReply, [frame.buffer]);
  } catch (thrown) {
    parentPort?.postMessage({ failure: String(thrown) } satisfies CompressReply);
  }
});
