import { type Finding, LifeboatError } from "@lifeboat/core";
import type { Session } from "../session.ts";
import { watchNotes } from "../watch-notes.ts";

/** Of Postgres' shipping only the repository tells these; the engine's own findings tell the rest. */
const OF_POSTGRES: ReadonlySet<string> = new Set(["archive-elsewhere", "wal-given-up"]);

/**
 * What `status` says of the live databases' shipping, in the same words: a watch that stopped, or cannot ship, or an archive
 * that goes elsewhere is what stands in the way of the next restore.
 */
export async function examineShipping(session: Session): Promise<Finding[]> {
  const { shippingOf } = await import("../operations.ts");
  try {
    const live = await session.liveEngine();
    const repository = await session.openRepository("read");
    const engines = await session.engines();
    const about = { repository, engines, live: live.kind, notes: watchNotes() };
    const { alerts } = await shippingOf(about);
    return live.kind === "sqlite" ? [...alerts] : alerts.filter(({ id }) => OF_POSTGRES.has(id));
  } catch (thrown) {
    // That the repository cannot be opened or read is a finding already.
    if (thrown instanceof LifeboatError) return [];
    throw thrown;
  }
}
