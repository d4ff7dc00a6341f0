import { siblingModule } from "@lifeboat/core";
import type { PlannedTable } from "../plan.ts";
import { SqliteThread } from "../thread/sqlite-thread.ts";
import type { ReaderRequest } from "./row-reader-thread.ts";

/** Chunks that are asked for ahead: one is being sent, one waits, and one is being read. */
const AHEAD = 3;

/**
 * Reads tables for COPY in a thread of its own, so that SQLite is read while Postgres takes what was read before: on one
 * thread each waits for the other. Reads are short, and each is of its own instant.
 */
export class RowReader implements AsyncDisposable {
  readonly #thread: SqliteThread<ReaderRequest, ArrayBuffer | null>;

  /** @param path of the SQLite database */
  constructor(path: string) {
    this.#thread = new SqliteThread(siblingModule(import.meta.url, "row-reader-thread"), path);
  }

  /**
   * The rows of a table as one COPY stream, in chunks. One table at a time; after a failure of any kind no other.
   * @throws SqliteError or another error, as the same read would on this thread
   */
  async *rows(table: PlannedTable): AsyncGenerator<Buffer> {
    const thread = this.#thread;
    thread.ask({ read: table });
    for (let ahead = 0; ahead < AHEAD; ahead++) thread.ask("more");
    await thread.next();
    for (;;) {
      const chunk = await thread.next();
      if (chunk === null) break;
      thread.ask("more");
      yield Buffer.from(chunk);
    }
    // What was asked for beyond the end is answered by as many ends.
    for (let left = AHEAD - 1; left > 0; left--) await thread.next();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}
