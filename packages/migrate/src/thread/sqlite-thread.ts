import { Worker } from "node:worker_threads";
import { SqliteError } from "better-sqlite3";
import type { ThreadData, ThreadReply } from "./serve-thread.ts";

const BUSY_TIMEOUT_MS = 10_000;

/**
 * A thread with a connection of its own to a SQLite database, so that SQLite works on one core while this thread or Postgres works
 * on another. Each request gets one reply, in the order of the requests.
 */
export class SqliteThread<Request, Reply> implements AsyncDisposable {
  readonly #worker: Worker;
  #waiting: PromiseWithResolvers<ThreadReply<Reply>> | undefined;
  readonly #replies: ThreadReply<Reply>[] = [];
  #failed: Error | undefined;
  #open = 0;

  /** @param module what the thread runs, which calls `serveThread` */
  constructor(module: URL, path: string) {
    const workerData: ThreadData = { path, busyTimeoutMs: BUSY_TIMEOUT_MS };
    this.#worker = new Worker(module, { workerData });
    this.#worker.on("message", (reply: ThreadReply<Reply>) => {
      this.#open--;
      if (this.#waiting) this.#waiting.resolve(reply);
      else this.#replies.push(reply);
      this.#waiting = undefined;
    });
    this.#worker.on("error", (cause) => this.#fail(cause as Error));
    this.#worker.on("exit", () => this.#fail(new Error("the thread that reads SQLite ended")));
  }

  /** Requests that it has not replied to yet. */
  get open(): number {
    return this.#open;
  }

  /** Replies that wait to be taken. */
  get ready(): number {
    return this.#replies.length;
  }

  ask(request: Request): void {
    this.#open++;
    this.#worker.postMessage(request);
  }

  /** The next reply. @throws what the thread threw for its request, an error of SQLite as such */
  async next(): Promise<Reply> {
    const reply = this.#replies.shift() ?? (await this.#arriving());
    if ("thrown" in reply) throw revived(reply.thrown);
    return reply.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #arriving(): Promise<ThreadReply<Reply>> {
    if (this.#failed) throw this.#failed;
    this.#waiting = Promise.withResolvers<ThreadReply<Reply>>();
    return this.#waiting.promise;
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
