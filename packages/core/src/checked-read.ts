import { availableParallelism } from "node:os";
import { LifeboatError, reasonOf } from "./errors.ts";
import { checksumMismatch, readSeal, SEAL_BYTES } from "./seal.ts";
import { decompress } from "./stream/decompress.ts";
import { type Digest, DigestMeter } from "./stream/digest.ts";
import { DigestAside } from "./stream/digest-aside.ts";

/** The largest content a log object can have: PostgreSQL's largest WAL segment. */
const LARGEST_LOG_OBJECT = 1 << 30;

/** How a log object is read. */
export interface LogReading {
  /** What it may hold at most; PostgreSQL's largest segment when left out. */
  readonly mostBytes?: number | undefined;
  /** Frames that are unpacked at once; left out: what keeps all cores busy. */
  readonly atOnce?: number | undefined;
}

/** What is known of an object before it is read. */
export interface Expected {
  readonly content: Digest;
  readonly stored: Digest;
}

/**
 * The content of a stored object, checked on the way: stored bytes, decompression, content. The
 * last chunk is given only after both digests agreed; a content that grows past its size (a
 * decompression bomb) ends at once.
 * @throws LifeboatError `CHECKSUM_MISMATCH` naming the object
 */
export async function* checkedContent(
  stored: AsyncIterable<Uint8Array>,
  expected: Expected,
  object: string,
): AsyncGenerator<Uint8Array> {
  const storedMeter = new DigestMeter();
  const content = contentOf(storedMeter.through(stored), expected.content, object);
  let held: Uint8Array | undefined;
  for await (const chunk of content) {
    if (held) yield held;
    held = chunk;
  }
  assertDigest(storedMeter.value(), expected.stored, object, "as stored");
  if (held) yield held;
}

/** The same for a log object, which carries its digest at its own end. */
export async function* sealedContent(
  stored: AsyncIterable<Uint8Array>,
  object: string,
  { mostBytes = LARGEST_LOG_OBJECT, atOnce }: LogReading = {},
): AsyncGenerator<Uint8Array> {
  const tail = new SealTail();
  const storedMeter = new DigestMeter();
  const meter = new DigestMeter();
  let held: Uint8Array | undefined;
  try {
    const packed = storedMeter.through(tail.without(stored));
    for await (const chunk of meter.through(decompress(packed, atOnce))) {
      if (meter.bytes > mostBytes)
        throw checksumMismatch(object, `unpacks to more than the ${mostBytes} bytes it may hold`);
      if (held) yield held;
      held = chunk;
    }
  } catch (cause) {
    throw cause instanceof LifeboatError ? cause : undecodable(object, cause);
  }
  const seal = readSeal(tail.bytes, object);
  assertDigest(storedMeter.value(), seal.stored, object, "as stored");
  assertDigest(meter.value(), seal.content, object, "unpacked");
  if (held) yield held;
}

/**
 * Reads a sealed object to its end and checks its stored bytes against its seal; nothing is unpacked. What it holds
 * and how it lies there, seal and all, as a manifest tells it.
 * @throws LifeboatError `CHECKSUM_MISMATCH` naming the object
 */
export async function sealedDigests(
  stored: AsyncIterable<Uint8Array>,
  object: string,
): Promise<Expected> {
  const tail = new SealTail();
  const meter = new DigestMeter();
  let sealed: Digest | undefined;
  const all = async function* () {
    yield* tail.without(stored);
    sealed = meter.soFar();
    yield tail.bytes;
  };
  for await (const _ of meter.through(all()));
  const seal = readSeal(tail.bytes, object);
  assertDigest(sealed as Digest, seal.stored, object, "as stored");
  return { content: seal.content, stored: meter.value() };
}

/** From here on a thread for the digest is worth its start. */
const LONG_BYTES = 32 << 20;

function meterFor(bytes: number): DigestMeter | DigestAside {
  return bytes >= LONG_BYTES && availableParallelism() > 1 ? new DigestAside() : new DigestMeter();
}

async function* contentOf(
  stored: AsyncIterable<Uint8Array>,
  expected: Digest,
  object: string,
): AsyncGenerator<Uint8Array> {
  const meter = meterFor(expected.bytes);
  let held: Uint8Array | undefined;
  try {
    for await (const chunk of meter.through(decompress(stored))) {
      if (meter.bytes > expected.bytes)
        throw checksumMismatch(object, `holds more than the ${expected.bytes} bytes it should`);
      if (held) yield held;
      held = chunk;
    }
  } catch (cause) {
    throw cause instanceof LifeboatError ? cause : undecodable(object, cause);
  }
  assertDigest(meter.value(), expected, object, "unpacked");
  if (held) yield held;
}

/** Passes a stream on without its last {@link SEAL_BYTES} bytes and keeps those. */
class SealTail {
  bytes: Buffer = Buffer.alloc(0);

  async *without(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    // What may hold the tail waits for the next chunk; copied are only short ones.
    let held: Uint8Array = Buffer.alloc(0);
    for await (const chunk of content)
      if (chunk.length < SEAL_BYTES) held = Buffer.concat([held, chunk]);
      else {
        if (held.length > 0) yield held;
        held = chunk;
      }
    const cut = Math.max(0, held.length - SEAL_BYTES);
    this.bytes = Buffer.from(held.subarray(cut));
    if (cut > 0) yield held.subarray(0, cut);
  }
}

function assertDigest(found: Digest, expected: Digest, object: string, how: string): void {
  if (found.bytes !== expected.bytes)
    throw checksumMismatch(object, `has ${found.bytes} bytes ${how} instead of ${expected.bytes}`);
  if (found.sha256 !== expected.sha256)
    throw checksumMismatch(
      object,
      `has SHA-256 ${found.sha256.slice(0, 12)}… ${how} instead of ${expected.sha256.slice(0, 12)}…`,
    );
}

function undecodable(object: string, cause: unknown): LifeboatError {
  return checksumMismatch(object, `is damaged (zstd: ${reasonOf(cause)})`, cause);
}
