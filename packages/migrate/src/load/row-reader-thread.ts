import type { PlannedTable } from "../plan.ts";
import { serveThread } from "../thread/serve-thread.ts";
import { framed } from "./copy-frame.ts";
import { liveCopyForm, liveRows } from "./live-rows.ts";

/** To begin with a table, which is answered by null too, or to read one more of its chunks. */
export type ReaderRequest = { readonly read: PlannedTable } | "more";

/** The thread of `RowReader`: reads tables for COPY, a chunk for each that it is asked for; null after the last. */
serveThread<ReaderRequest, ArrayBuffer | null>((db) => {
  let chunks: Iterator<Buffer> = [][Symbol.iterator]();
  return (request) => {
    if (request !== "more") {
      const form = liveCopyForm(request.read);
      chunks = framed(form, liveRows(db, request.read, form));
      return { value: null };
    }
    const next = chunks.next();
    if (next.done) return { value: null };
    const chunk = owned(next.value);
    return { value: chunk, transfer: [chunk] };
  };
});

/** Its bytes alone: a small buffer is a part of one that others use too, and must not be given away. */
function owned(buffer: Buffer): ArrayBuffer {
  const isWhole = buffer.byteLength === buffer.buffer.byteLength;
  return (isWhole ? buffer.buffer : Uint8Array.from(buffer).buffer) as ArrayBuffer;
}
