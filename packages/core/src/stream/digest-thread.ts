import { createHash, type Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";

/** Some more of a stream, or without memory its end. */
export interface DigestRequest {
  readonly stream: number;
  readonly memory?: ArrayBuffer;
}

/** The memory comes back; or the SHA-256 of the whole stream. */
export type DigestReply = { readonly memory: ArrayBuffer } | { readonly sha256: string };

/** The thread of `DigestAside`: one reply for each request, in their order. */
const port = parentPort;
if (port === null) throw new Error("this module is started as a thread");
const hashes = new Map<number, Hash>();

port.on("message", ({ stream, memory }: DigestRequest) => {
  const hash = hashes.get(stream) ?? createHash("sha256");
  if (memory === undefined) {
    hashes.delete(stream);
    port.postMessage({ sha256: hash.digest("hex") } satisfies DigestReply);
  } else {
    hashes.set(stream, hash);
    hash.update(new Uint8Array(memory));
    port.postMessage({ memory } satisfies DigestReply, [memory]);
  }
});
