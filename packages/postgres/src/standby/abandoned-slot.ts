import { LifeboatError } from "@lifeboat/core";
import type { ServerConnection } from "../connection/connection.ts";
import { dropSlot } from "../slots/drop-slot.ts";

/**
 * Drops the slot of a standby that came to nothing, if it can. By a connection of its own: what failed may have been the other.
 */
export async function isDropped(connection: ServerConnection, slot: string): Promise<boolean> {
  try {
    await dropSlot(connection, slot);
    return true;
  } catch (thrown) {
    return thrown instanceof LifeboatError && thrown.code === "SLOT_NOT_FOUND";
  }
}

/** The failure, with the slot that is left: it keeps WAL on the primary until somebody drops it. */
export function withSlotLeft(failure: unknown, slot: string): unknown {
  if (!(failure instanceof LifeboatError)) return failure;
  const { code, kind, message, remedy, details } = failure;
  return new LifeboatError({
    ...{ code, kind },
    message: `${message}; replication slot ${slot} is left on the primary, and keeps WAL there`,
    remedy: `${remedy}; and drop the slot, if it is not made again: lifeboat slots --drop ${slot}`,
    details: { ...details, slot },
    cause: failure,
  });
}
