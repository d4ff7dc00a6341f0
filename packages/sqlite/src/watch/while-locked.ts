import type { Outage } from "@lifeboat/core";
import { isBusy, patiently } from "../driver.ts";

/** A writer's transaction is mostly over sooner, and nothing to speak of. */
const SILENT_MS = 1000;
const PATIENCE_MS = 30_000;

const LOCKED: Outage = {
  reason: "the database is locked by another process",
  meanwhile: `it is tried again for ${PATIENCE_MS / 1000} s, then the watch ends`,
};

/**
 * Tries until nobody keeps the database locked any more, and tells where that takes longer than a moment: whoever starts a
 * watch is else left to think that it ships.
 * @throws SqliteError busy, when the patience is over
 */
export async function whileLocked<T>(
  signal: AbortSignal,
  attempt: () => T,
  tell: (why: Outage) => void,
): Promise<T> {
  try {
    return await patiently(SILENT_MS, signal, attempt);
  } catch (thrown) {
    if (!isBusy(thrown)) throw thrown;
  }
  tell(LOCKED);
  return patiently(PATIENCE_MS - SILENT_MS, signal, attempt);
}
