import { type Finding, LifeboatError } from "@lifeboat/core";
import type { Session } from "../session.ts";
import { watchNotes } from "../watch-notes.ts";

/**
 * What `status` says of the live SQLite databases' shipping, in the same words: a watch that stopped, or cannot ship, is what
 * stands in the way of the next restore. Of Postgres the engine's own findings tell it.
 */
export async function examineShipping(session: Session): Promise<Finding[]> {
  const { shippingOf } = await import("../operations.ts");
  try {
    const live = await session.liveEngine();
    if (live.kind !== "sqlite") return [];
    const repository = await session.openRepository("read");
    const engines = await session.engines();
    return [
      ...(await shippingOf({ repository, engines, live: live.kind, notes: watchNotes() })).alerts,
    ];
  } catch (thrown) {
    // That the repository cannot be opened or read is a finding already.
    if (thrown instanceof LifeboatError) return [];
    throw thrown;
  }
}
