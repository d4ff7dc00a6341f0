import { isBusy } from "../driver.ts";
import { type FileAtRest, fileAtRest, TICK_MS } from "./file-at-rest.ts";
import { waitHere } from "./wait-for.ts";

/** Writers may be at work, each time: then it is left as it is. */
const TRIES = 3;

/** How the WAL of a database is copied back. */
export interface Settling {
  /** @returns whether all was, at that moment */
  copyBack(): boolean;
  /** Runs while no writer writes. @throws SqliteError busy */
  whileGated<T>(inside: () => T): T;
  isCopiedBack(): boolean;
}

/**
 * Brings a database to rest, so that a next watch may go on from there although whoever closes it last removes the WAL.
 * @returns how the file lies then; undefined where writers do not let it
 */
export function settle(path: string, settling: Settling): FileAtRest | undefined {
  for (let count = 0; count < TRIES; count++) {
    if (!settling.copyBack()) continue;
    // Without the gate: writers need not wait for the file system's clock.
    waitHere(TICK_MS);
    try {
      const rest = settling.whileGated(() =>
        settling.isCopiedBack() ? fileAtRest(path) : undefined,
      );
      if (rest) return rest;
    } catch (thrown) {
      if (!isBusy(thrown)) throw thrown;
    }
  }
  return undefined;
}
