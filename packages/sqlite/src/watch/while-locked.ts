import { shellWord } from "@lifeboat/core/shell-word";
import { isBusy, patiently } from "../driver.ts";
import type { Waiting } from "./source-file.ts";

/** A writer's transaction is mostly over sooner, and nothing to speak of. */
const SILENT_MS = 1000;
const PATIENCE_MS = 30_000;

/** Why a watch cannot begin, and what it does meanwhile. */
export interface LockedOut extends Waiting {
  readonly meanwhile: string;
}

/**
 * Tries until nobody keeps the database locked any more, and tells where that takes longer than a moment: whoever starts a
 * watch is else left to think that it ships.
 * @throws SqliteError busy, when the patience is over
 */
export async function whileLocked<T>(
  path: string,
  {
    signal,
    attempt,
    tell,
  }: {
    readonly signal: AbortSignal;
    readonly attempt: () => T;
    readonly tell: (why: LockedOut) => Promise<void>;
  },
): Promise<T> {
  try {
    return await patiently(SILENT_MS, signal, attempt);
  } catch (thrown) {
    if (!isBusy(thrown)) throw thrown;
  }
  await tell({
    reason: "the database is locked by another process",
    remedy: `see who has it open (fuser -v ${shellWord(path)}): a transaction that does not end, or PRAGMA locking_mode = EXCLUSIVE, with which nobody else can read it; the watch goes on by itself once that is over`,
    meanwhile: `it is tried again for ${PATIENCE_MS / 1000} s, then the watch ends`,
  });
  return patiently(PATIENCE_MS - SILENT_MS, signal, attempt);
}
