import { LifeboatError } from "./errors.ts";
import { LARGEST_DOCUMENT } from "./read-document.ts";
import type { Storage } from "./storage.ts";

/**
 * Stores a sealed document: a manifest, or a record. One that nobody could read again is not written: what it stands for
 * would be said to be there, and could not be had.
 * @throws LifeboatError `DOCUMENT_TOO_LONG`; what the storage throws
 */
export async function createDocument(
  storage: Storage,
  path: string,
  text: string | Uint8Array,
): Promise<void> {
  const bytes = Buffer.from(text);
  if (bytes.length > LARGEST_DOCUMENT) throw tooLong(path, bytes.length);
  await storage.create(path, bytes);
}

function tooLong(path: string, bytes: number): LifeboatError {
  return new LifeboatError({
    code: "DOCUMENT_TOO_LONG",
    message: `${path} would have ${bytes} bytes, of which no more than ${LARGEST_DOCUMENT} are ever read again`,
    remedy:
      "nothing was written under that name; report what was done, with the number of files in the database",
    details: { object: path, bytes },
  });
}
