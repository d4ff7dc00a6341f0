import { parentPort, workerData } from "node:worker_threads";
import Database, { type Database as Connection } from "better-sqlite3";
import { defineFunctions } from "../sqlite/define-functions.ts";

/** Where the thread finds the database. */
export interface ThreadData {
  readonly path: string;
  readonly busyTimeoutMs: number;
}

/** What it posts for each request. Errors lose their class on the way. */
export type ThreadReply<Reply> =
  | { readonly value: Reply }
  | { readonly thrown: { readonly message: string; readonly code: string | undefined } };

/** What a request comes to, and the memory of it that changes hands instead of being copied. */
export interface Answer<Reply> {
  readonly value: Reply;
  readonly transfer?: readonly ArrayBuffer[];
}

/** The other side of `SqliteThread`: called by a module that is started as a thread, and only by that. */
export function serveThread<Request, Reply>(
  serve: (db: Connection) => (request: Request) => Answer<Reply>,
): void {
  const port = parentPort;
  if (port === null) throw new Error("this module is started as a thread");
  const { path, busyTimeoutMs } = workerData as ThreadData;
  const db = new Database(path, { readonly: true, timeout: busyTimeoutMs });
  db.defaultSafeIntegers(true);
  defineFunctions(db);
  const answer = serve(db);
  port.on("message", (request: Request) => {
    try {
      const { value, transfer = [] } = answer(request);
      port.postMessage({ value } satisfies ThreadReply<Reply>, [...transfer]);
    } catch (thrown) {
      const { message, code } = thrown as Error & { code?: string };
      port.postMessage({ thrown: { message, code } } satisfies ThreadReply<Reply>);
    }
  });
}
