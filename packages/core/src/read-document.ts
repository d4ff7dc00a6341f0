import { LifeboatError } from "./errors.ts";
import type { Storage } from "./storage.ts";

/** Far above any manifest, mark, lock or drill record that Lifeboat writes. */
export const LARGEST_DOCUMENT = 16 << 20;

/**
 * A small document of a repository, whole; undefined when it is not there. Reading ends where no
 * document of ours is as long, since a hostile one would only fill the memory.
 * @throws LifeboatError `MANIFEST_CORRUPT` when it is too long; what the storage throws
 */
export async function readDocument(storage: Storage, path: string): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of storage.read(path)) {
      bytes += chunk.length;
      if (bytes > LARGEST_DOCUMENT) throw tooLong(path);
      chunks.push(chunk);
    }
  } catch (thrown) {
    if (thrown instanceof LifeboatError && thrown.code === "OBJECT_MISSING") return undefined;
    throw thrown;
  }
  return Buffer.concat(chunks);
}

function tooLong(path: string): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${path} is longer than ${LARGEST_DOCUMENT >> 20} MiB, which no document of Lifeboat is`,
    remedy: "bring this object back from a copy of the repository",
    details: { object: path },
  });
}
