import { Worker } from "node:worker_threads";
import { siblingModule } from "../sibling-module.ts";
import type { Digest } from "./digest.ts";
import type { DigestReply, DigestRequest } from "./digest-thread.ts";

/** Chunks that are being digested, or wait for it, while the next one is unpacked. */
const AHEAD = 2;
/** A thread that nobody needed for so long ends; it keeps no process alive. */
const IDLE_MS = 5_000;

/**
 * Counts and digests what passes through it in a thread of its own: who unpacks, cuts and writes a gigabyte on one thread
 * would else spend a third of its time on its digest, while another core has little to do. The memory of each chunk changes hands, and is
 * back when the chunk is given. For one content; short ones are not worth the thread's start.
 */
export class DigestAside {
  readonly #thread: DigestThread = DigestThread.shared();
  readonly #stream: number = this.#thread.begin();
  #sha256: string | undefined;
  #bytes = 0;

  /** What has been given, or is about to be. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of all the content, once it has passed. */
  value(): Digest {
    if (this.#sha256 === undefined) throw new Error("the content has not passed yet");
    return { bytes: this.#bytes, sha256: this.#sha256 };
  }

  async *through(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const passing: Promise<Uint8Array>[] = [];
    try {
      for await (const chunk of content) {
        this.#bytes += chunk.length;
        const passed = this.#pass(chunk);
        // It is awaited in its turn; until then a failure is not an unhandled one.
        passed.catch(() => {});
        passing.push(passed);
        if (passing.length > AHEAD) yield (await passing.shift()) as Uint8Array;
      }
      for (const chunk of passing) yield await chunk;
    } finally {
      // Also of a content that nobody wants any more: the thread should not remember it.
      this.#sha256 = await this.#thread.end(this.#stream);
    }
  }

  async #pass(chunk: Uint8Array): Promise<Uint8Array> {
    const { buffer, byteLength } = chunk;
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
    // A part of some memory that others use too must not be given away.
    const memory = isWhole ? buffer : Uint8Array.from(chunk).buffer;
    const back = await this.#thread.update(this.#stream, memory);
    return isWhole ? new Uint8Array(back) : chunk;
  }
}

/** One for the process, as long as somebody needs it. */
class DigestThread {
  static #shared: DigestThread | undefined;

  static shared(): DigestThread {
    DigestThread.#shared ??= new DigestThread();
    return DigestThread.#shared;
  }

  readonly #worker = new Worker(siblingModule(import.meta.url, "digest-thread"));
  readonly #waiting: PromiseWithResolvers<DigestReply>[] = [];
  readonly #open = new Set<number>();
  #streams = 0;
  #idle: NodeJS.Timeout | undefined;
  #failed: Error | undefined;

  constructor() {
    this.#worker.unref();
    this.#worker.on("message", (reply: DigestReply) => {
      this.#waiting.shift()?.resolve(reply);
      if (this.#waiting.length === 0) this.#worker.unref();
    });
    this.#worker.on("error", (cause) => this.#fail(cause as Error));
    this.#worker.on("exit", () => this.#fail(new Error("the thread that digests ended")));
  }

  begin(): number {
    clearTimeout(this.#idle);
    const stream = this.#streams++;
    this.#open.add(stream);
    return stream;
  }

  /** @returns the same bytes */
  async update(stream: number, memory: ArrayBuffer): Promise<ArrayBuffer> {
    const reply = await this.#ask({ stream, memory });
    return (reply as { memory: ArrayBuffer }).memory;
  }

  /** @returns the SHA-256 of all that was given of the stream */
  async end(stream: number): Promise<string> {
    const reply = await this.#ask({ stream });
    this.#open.delete(stream);
    if (this.#open.size === 0) this.#idle = setTimeout(() => this.#leave(), IDLE_MS).unref();
    return (reply as { sha256: string }).sha256;
  }

  #ask(request: DigestRequest): Promise<DigestReply> {
    if (this.#failed) return Promise.reject(this.#failed);
    const asked = Promise.withResolvers<DigestReply>();
    this.#waiting.push(asked);
    this.#worker.ref();
    this.#worker.postMessage(request, request.memory ? [request.memory] : []);
    return asked.promise;
  }

  #leave(): void {
    this.#fail(new Error("the thread that digests has ended"));
    void this.#worker.terminate();
  }

  #fail(cause: Error): void {
    this.#failed ??= cause;
    if (DigestThread.#shared === this) DigestThread.#shared = undefined;
    for (const asked of this.#waiting.splice(0)) asked.reject(this.#failed);
  }
}
