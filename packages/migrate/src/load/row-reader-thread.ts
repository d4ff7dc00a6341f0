import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import type { PlannedTable } from "../plan.ts";
import { defineFunctions } from "../source.ts";
import { framed } from "./copy-frame.ts";
import { liveCopyForm, liveRows } from "./live-rows.ts";

/** What the thread is asked: to read a table, or for one more of its chunks. */
export type ReaderRequest = { readonly read: PlannedTable } | "more";

/** What it answers: a chunk, or how the table ended. */
export type ReaderReply =
  | { readonly chunk: ArrayBuffer }
  | { readonly ended: { readonly message: string; readonly code: string | undefined } | null };

/** Where the thread finds the database. */
export interface ReaderData {
  readonly path: string;
  readonly busyTimeoutMs: number;
}

/** The thread of `RowReader`: reads tables for COPY, a chunk for each that it is asked for. */
function main(port: NonNullable<typeof parentPort>): void {
  const { path, busyTimeoutMs } = workerData as ReaderData;
  const db = new Database(path, { readonly: true, timeout: busyTimeoutMs });
  db.defaultSafeIntegers(true);
  defineFunctions(db);
  let chunks: Iterator<Buffer> = [][Symbol.iterator]();
  const reply = (message: ReaderReply, transfer: ArrayBuffer[] = []) =>
    port.postMessage(message, transfer);
  port.on("message", (request: ReaderRequest) => {
    try {
      if (request === "more") {
        const next = chunks.next();
        if (next.done) return reply({ ended: null });
        const chunk = owned(next.value);
        return reply({ chunk }, [chunk]);
      }
      const form = liveCopyForm(request.read);
      chunks = framed(form, liveRows(db, request.read, form))[Symbol.iterator]();
    } catch (thrown) {
      const { message, code } = thrown as Error & { code?: string };
      chunks = [][Symbol.iterator]();
      reply({ ended: { message, code } });
    }
  });
}

/** Its bytes alone: a small buffer is a part of one that others use too, and must not be given away. */
function owned(buffer: Buffer): ArrayBuffer {
  const isWhole = buffer.byteLength === buffer.buffer.byteLength;
  return (isWhole ? buffer.buffer : Uint8Array.from(buffer).buffer) as ArrayBuffer;
}

if (parentPort) main(parentPort);
