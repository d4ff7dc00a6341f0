import { LifeboatError, reasonOf, release } from "@lifeboat/core";
import { type Extract, extract, type Header } from "tar-stream";
import { isFaultOfTarget } from "../archive/target-failure.ts";

/** An entry of the archive: what it is, and its bytes, each piece good until the next but one is asked for. */
export type Entry = AsyncIterable<Uint8Array> & { readonly header: Header };

/**
 * Reads a tar archive, entry by entry. Takes over the content's memory.
 * @param object what to call it in messages
 * @param take what is done with an entry; what it leaves of it unread is passed over
 * @param end what is done when all of it was read
 * @throws LifeboatError `ARCHIVE_INVALID`; whatever `content`, `take` and `end` throw
 */
export async function readArchive(
  content: AsyncIterable<Uint8Array>,
  object: string,
  { take, end }: { take(entry: Entry): Promise<void>; end(): Promise<void> },
): Promise<void> {
  const source: { fault?: unknown } = {};
  const tar = extract();
  const fed = new FedChunks();
  const feeding = feed(fed.noting(noting(content, source)), tar);
  try {
    for await (const entry of tar) {
      await take({
        header: entry.header,
        [Symbol.asyncIterator]: () => fed.releasing(entry as AsyncIterable<Uint8Array>),
      });
      entry.resume();
    }
    await end();
  } catch (cause) {
    tar.destroy();
    await feeding;
    // What the source has to say comes first: a broken archive is only its consequence.
    if (source.fault !== undefined) throw source.fault;
    throw cause instanceof LifeboatError ? cause : invalid(object, cause);
  }
}

/**
 * The content's chunks from when they are handed over until nobody reads them any more. They would else wait for the
 * garbage collector, and call it again and again: a fifth of a restore's CPU.
 */
class FedChunks {
  readonly #chunks: Uint8Array[] = [];

  async *noting(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.#chunks.push(chunk);
      yield chunk;
    }
  }

  /**
   * An entry's pieces are views of the chunks, in their order: at the first of one, those before it are read through. The
   * last of them may still be being written.
   */
  async *releasing(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      const at = this.#chunks.findIndex(({ buffer }) => buffer === piece.buffer);
      for (const chunk of this.#chunks.splice(0, Math.max(0, at - 1))) release(chunk);
      yield piece;
    }
  }
}

/** Hands the bytes over as fast as they are taken. Never rejects: what fails, fails in the archive. */
async function feed(content: AsyncIterable<Uint8Array>, tar: Extract): Promise<void> {
  try {
    for await (const chunk of content) {
      if (tar.destroyed) return;
      if (!tar.write(chunk)) await drained(tar);
    }
    tar.end(null);
  } catch (cause) {
    tar.destroy(cause instanceof Error ? cause : new Error(reasonOf(cause)));
  }
}

async function* noting(
  content: AsyncIterable<Uint8Array>,
  source: { fault?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (cause) {
    source.fault = cause;
    throw cause;
  }
}

function drained(tar: Extract): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  tar.once("drain", resolve);
  tar.once("close", resolve);
  return promise.finally(() => {
    tar.off("drain", resolve);
    tar.off("close", resolve);
  });
}

/** A fault of the target (a full disk, a missing right) is none of the archive's and stays as it is. */
function invalid(object: string, cause: unknown): unknown {
  if (isFaultOfTarget(cause)) return cause;
  return new LifeboatError({
    code: "ARCHIVE_INVALID",
    message: `${object} is no whole tar archive: ${reasonOf(cause)}`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { object },
    cause,
  });
}
