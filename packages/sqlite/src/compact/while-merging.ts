import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";

/** So often a log may be merged under who reads it. */
const TRIES = 3;

/**
 * Reads objects of the log that a listing named, while a watch may merge them: those that were listed are gone then, and
 * lie in another one that is listed now.
 * @param read lists anew at each call
 */
export async function whileMerging<T>(folder: DatabaseFolder, read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (thrown) {
      if (attempt === TRIES || !isGoneFromLog(thrown, folder)) throw thrown;
    }
  }
}

function isGoneFromLog(thrown: unknown, { path }: DatabaseFolder): boolean {
  return (
    thrown instanceof LifeboatError &&
    thrown.code === "OBJECT_MISSING" &&
    String(thrown.details.object).startsWith(`${path}/wal/`)
  );
}
