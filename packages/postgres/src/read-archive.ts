import { LifeboatError, reasonOf } from "@lifeboat/core";
import { type Extract, extract, type Header } from "tar-stream";
import { isFaultOfTarget } from "./target-failure.ts";

/** An entry of the archive: what it is, and its bytes. */
export type Entry = AsyncIterable<Uint8Array> & { readonly header: Header; resume(): unknown };

/**
 * Reads a tar archive, entry by entry.
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
  const feeding = feed(noting(content, source), tar);
  try {
    for await (const entry of tar) {
      await take(entry as Entry);
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
