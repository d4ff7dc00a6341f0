import { Worker } from "node:worker_threads";
import { siblingModule } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { PlannedTable } from "../plan.ts";
import type { ReaderData, ReaderReply, ReaderRequest } from "./row-reader-thread.ts";

/** Chunks that are read ahead: one is being sent, one waits, and one is being read. */
const AHEAD = 3;
const BUSY_TIMEOUT_MS = 10_000;

/**
 * Reads tables for COPY in a thread of its own, so that SQLite is read while Postgres takes what was read before: on one
 * thread each waits for the other.
 */
export class RowReader implements AsyncDisposable {
  readonly #worker: Worker;
  #waiting: PromiseWithResolvers<ReaderReply> | undefined;
  #replies: ReaderReply[] = [];
  #failed: Error | undefined;

  /** @param path of the SQLite database; reads are short, and each is of its own instant */
  constructor(path: string) {
    const data: ReaderData = { path, busyTimeoutMs: BUSY_TIMEOUT_MS };
    this.#worker = new Worker(siblingModule(import.meta.url, "row-reader-thread"), {
      workerData: data,
    });
    this.#worker.on("message", (reply: ReaderReply) => {
      if (this.#waiting) this.#waiting.resolve(reply);
      else this.#replies.push(reply);
      this.#waiting = undefined;
    });
    this.#worker.on("error", (cause) => this.#fail(cause as Error));
    this.#worker.on("exit", () => this.#fail(new Error("the thread that reads SQLite ended")));
  }

  /**
   * The rows of a table as one COPY stream, in chunks. One table at a time.
   * @throws SqliteError or another error, as the same read would on this thread
   */
  async *rows(table: PlannedTable): AsyncGenerator<Buffer> {
    this.#ask({ read: table });
    for (let ahead = 0; ahead < AHEAD; ahead++) this.#ask("more");
    for (let open = AHEAD; open > 0; open--) {
      const reply = await this.#next();
      if ("ended" in reply) {
        if (reply.ended) throw revived(reply.ended);
        // What was asked beyond the end is answered by as many ends.
        for (let left = open - 1; left > 0; left--) await this.#next();
        return;
      }
      this.#ask("more");
      open++;
      yield Buffer.from(reply.chunk);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(request: ReaderRequest): void {
    this.#worker.postMessage(request);
  }

  async #next(): Promise<ReaderReply> {
    const reply = this.#replies.shift();
    if (reply) return reply;
    if (this.#failed) throw this.#failed;
    this.#waiting = Promise.withResolvers<ReaderReply>();
    return await this.#waiting.promise;
  }

  #fail(cause: Error): void {
    this.#failed ??= cause;
    this.#waiting?.reject(this.#failed);
    this.#waiting = undefined;
  }
}

function revived({ message, code }: { message: string; code: string | undefined }): Error {
  return code?.startsWith("SQLITE_") ? new SqliteError(message, code) : new Error(message);
}
