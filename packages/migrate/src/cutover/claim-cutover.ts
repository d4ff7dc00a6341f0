import type { Client } from "pg";
import { advance } from "../target/journal.ts";
import { takeTargetLock } from "../target/lock.ts";

/** Says in the journal that a cutover is at work, so that a sync that runs lets go; then takes the lock. */
export async function claimCutover(client: Client, id: string): Promise<void> {
  const claimed = await advance(client, id, "loaded", "cutting-over");
  try {
    await takeTargetLock(client);
  } catch (cause) {
    if (claimed) await advance(client, id, "cutting-over", "loaded");
    throw cause;
  }
  // Another run may have given it back while this one waited for the lock.
  await advance(client, id, "loaded", "cutting-over");
}
