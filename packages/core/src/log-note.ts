import { LifeboatError } from "./errors.ts";
import { SEAL_BYTES } from "./seal.ts";
import { openSealedJson, sealedJson } from "./sealed-json.ts";
import type { Storage } from "./storage.ts";

/**
 * Facts about an object that can be read without it: of a log object where in its chain it belongs, of a part of a
 * backup what it holds.
 */
export type LogNote = Readonly<Record<string, unknown>>;

/**
 * A note is a skippable frame (RFC 8878, section 3.1.2) between the content and the seal: sealed JSON,
 * then its length once more, so that it is found from the object's end.
 */
const MAGIC = 0x184d2a5c;
const HEADER = 8;
const TRAILER = 4;
/** What is read of an object's end at first; a longer note costs a second read. */
const TAIL_BYTES = 16 << 10;
/** Longer ones are nobody's. */
const LONGEST_NOTE = 16 << 20;

export function noteFrame(note: LogNote): Uint8Array {
  const text = Buffer.from(sealedJson(note));
  const frame = Buffer.alloc(HEADER + text.length + TRAILER);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(text.length + TRAILER, 4);
  text.copy(frame, HEADER);
  frame.writeUInt32LE(text.length, HEADER + text.length);
  return frame;
}

/**
 * Reads the note of a stored object by its end alone; undefined where it has none.
 * @throws LifeboatError `OBJECT_MISSING`; `MANIFEST_CORRUPT` when there is a damaged one
 */
export async function readLogNote(
  storage: Storage,
  path: string,
  bytes: number,
): Promise<LogNote | undefined> {
  let tail = await endOf(storage, path, bytes, TAIL_BYTES);
  const length = noteLength(tail);
  if (length === undefined) return undefined;
  const needed = HEADER + length + TRAILER + SEAL_BYTES;
  if (length > LONGEST_NOTE || needed > bytes) return undefined;
  if (needed > tail.length) tail = await endOf(storage, path, bytes, needed);
  const frame = tail.subarray(tail.length - needed, tail.length - SEAL_BYTES);
  if (frame.length < HEADER || frame.readUInt32LE(0) !== MAGIC) return undefined;
  if (frame.readUInt32LE(4) !== length + TRAILER) return undefined;
  return openSealedJson(frame.subarray(HEADER, HEADER + length), path);
}

function noteLength(tail: Buffer): number | undefined {
  const at = tail.length - SEAL_BYTES - TRAILER;
  return at < HEADER ? undefined : tail.readUInt32LE(at);
}

async function endOf(
  storage: Storage,
  path: string,
  bytes: number,
  wanted: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const range = { start: Math.max(0, bytes - wanted), end: bytes };
  for await (const chunk of storage.read(path, range)) chunks.push(chunk);
  const end = Buffer.concat(chunks);
  if (end.length === range.end - range.start) return end;
  throw new LifeboatError({
    code: "CHECKSUM_MISMATCH",
    message: `${path} has fewer bytes than its ${bytes}`,
    remedy: "it is being removed, or was cut: lifeboat verify finds all that is damaged",
    details: { object: path },
  });
}
