import { release } from "@lifeboat/core";
import type { CopyForm } from "./copy-expression.ts";

/** "PGCOPY\n\377\r\n\0", no flags, no extension: the header of the binary form (manual, COPY). */
const BINARY_HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const BINARY_TRAILER = Buffer.from([0xff, 0xff]);
/** Fewer, larger messages: one of a megabyte costs little more than one of a kilobyte. */
const CHUNK_BYTES = 1024 * 1024;
/** To give a row of a few hundred bytes back by itself would cost more than it. */
const WORTH_RELEASING_BYTES = 64 * 1024;

/** The rows as one COPY stream, in chunks that are worth a message each. Takes over their memory. */
export function* framed(form: CopyForm, rows: Iterable<Buffer>): Generator<Buffer> {
  if (form.format === "binary") yield BINARY_HEADER;
  yield* gathered(rows);
  if (form.format === "binary") yield BINARY_TRAILER;
}

function* gathered(parts: Iterable<Buffer>): Generator<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    held.push(part);
    bytes += part.length;
    if (bytes < CHUNK_BYTES) continue;
    yield held.length === 1 ? part : joined(held);
    held = [];
    bytes = 0;
  }
  if (held.length > 0) yield joined(held);
}

/** Takes over their memory: of large ones hundreds of MB would else wait for the garbage collector. */
function joined(parts: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(parts);
  for (const part of parts) if (part.length >= WORTH_RELEASING_BYTES) release(part);
  return whole;
}
