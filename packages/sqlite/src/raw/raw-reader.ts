import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { LifeboatError, siblingModule } from "@lifeboat/core";
import type { RawReply, RawRequest } from "./raw-reader-child.ts";

interface Pending {
  resolve(bytes: Buffer): void;
  reject(reason: unknown): void;
}

/**
 * Reads a database's files as plain bytes in a child process, started beforehand so that nobody waits
 * for its start while the database is held still. The child ends when this process does, however
 * that ends.
 */
export class RawReader {
  readonly #child: ChildProcess;
  #pending: Pending | undefined;
  #ended: LifeboatError | undefined;

  constructor() {
    const program = fileURLToPath(siblingModule(import.meta.url, "raw-reader-child"));
    this.#child = spawn(process.execPath, [program], {
      stdio: ["pipe", "pipe", "ignore", "pipe"],
      // It needs nothing of the environment, and what it does not get it cannot leak.
      env: {},
    });
    const replies = createInterface({ input: this.#child.stdout as Readable });
    replies.on("line", (line) => this.#settle(JSON.parse(line) as RawReply));
    // A write into a process that just died: its end is what is reported.
    this.#child.stdin?.on("error", () => {});
    this.#child.on("error", (cause) => this.#end(`could not be started`, cause));
    this.#child.on("exit", (code, signal) => this.#end(`ended by ${signal ?? `status ${code}`}`));
  }

  /** The child's process id. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it can still be asked. */
  get lives(): boolean {
    return this.#ended === undefined;
  }

  /** Lets this process end although nobody has closed it. */
  unref(): void {
    this.#child.unref();
    for (const stream of this.#child.stdio) (stream as Socket | null)?.unref();
  }

  /** Takes that back. */
  ref(): void {
    this.#child.ref();
    for (const stream of this.#child.stdio) (stream as Socket | null)?.ref();
  }

  /** Up to `length` bytes at `offset`; fewer at the file's end, undefined where there is no file. */
  async peek(path: string, offset: number, length: number): Promise<Buffer | undefined> {
    try {
      return await this.#ask({ kind: "peek", path, offset, length });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw thrown;
    }
  }

  /** Copies a whole file; `to` may not exist yet. */
  async copy(from: string, to: string, signal: AbortSignal): Promise<void> {
    await this.#askUntilAborted({ kind: "copy", from, to }, signal);
  }

  /** The content of a whole file. Throws at its end unless the child said that all was read. */
  async *stream(from: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const done = this.#askUntilAborted({ kind: "stream", from }, signal);
    // Awaited at the end; until then its failure shows as the end of the stream.
    done.catch(() => {});
    for await (const chunk of this.#child.stdio[3] as Readable) yield chunk;
    await done;
  }

  /** Ends the child, whatever it is doing, and waits until it is gone. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (this.#child.pid === undefined) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await gone;
  }

  #ask(request: RawRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#pending = { resolve, reject };
      this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  #settle(reply: RawReply): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (reply.ok) pending?.resolve(Buffer.from(reply.bytes, "base64"));
    else pending?.reject(Object.assign(new Error(reply.message), { code: reply.code }));
  }

  async #askUntilAborted(request: RawRequest, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const stop = () => this.#child.kill("SIGKILL");
    signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#ask(request);
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #end(how: string, cause?: unknown): void {
    this.#ended = new LifeboatError({
      code: "COPY_INTERRUPTED",
      message: `the process that reads the database file ${how}`,
      remedy: "run the backup again; if it repeats, look for what kills processes (memory limits)",
      cause,
    });
    this.#pending?.reject(this.#ended);
    this.#pending = undefined;
  }
}
