import { constants } from "node:fs";
import { open } from "node:fs/promises";

/**
 * Makes the names in a directory durable: a file that was made, linked or renamed is on disk only
 * when its directory is (fsync(2)).
 * @throws the system's error when it is missing, no directory, or cannot be written to disk
 */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
