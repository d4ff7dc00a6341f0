import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { LifeboatError } from "@lifeboat/core";

/** Far above any file that people write or that the server keeps small. A larger one is an attack on our memory. */
export const LARGEST_FILE = 16 * 2 ** 20;

/**
 * A small file of a restored data directory, whole.
 * @throws LifeboatError `ARCHIVE_UNSAFE` when it is no regular file, or larger than such a file ever is
 */
export async function readSmallFile(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile() || found.size > LARGEST_FILE) throw notSmall(path);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function notSmall(path: string): LifeboatError {
  return new LifeboatError({
    code: "ARCHIVE_UNSAFE",
    message: `${path} is no regular file of at most ${LARGEST_FILE >> 20} MiB`,
    remedy:
      "no server writes such a file: find out who can write to the repository, and restore another backup (lifeboat list)",
    details: { path },
  });
}
