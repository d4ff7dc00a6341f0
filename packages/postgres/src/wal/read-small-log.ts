import type { DatabaseFolder } from "@lifeboat/core";
import { LARGEST_SMALL_FILE, logName } from "./segment-name.ts";

/**
 * A timeline's history or a backup's label out of a repository, checked, and never more of it than such a file can be.
 * @param name as the server calls it
 * @throws LifeboatError `OBJECT_MISSING`; `CHECKSUM_MISMATCH`, also where it holds more than that
 */
export function readSmallLog(folder: DatabaseFolder, name: string): AsyncGenerator<Uint8Array> {
  return folder.readLog(logName(name), LARGEST_SMALL_FILE);
}
