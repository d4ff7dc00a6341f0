import type { Report } from "@lifeboat/core";
import { comeClose } from "../come-close.ts";
import type { Forward } from "../forward/forward.ts";
import type { SyncTally } from "../forward/sync-tally.ts";

/** With fewer rows than this waiting the freeze is a matter of milliseconds. */
const FEW_ROWS = 200;

/**
 * Brings what waits to Postgres until little does, as close as it comes.
 * @returns how many rows still waited when it came closest
 */
export async function bringUntilFew(
  forward: Forward,
  tally: SyncTally,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  return comeClose(FEW_ROWS, async () => {
    signal.throwIfAborted();
    const applied = await forward.look(signal);
    if (applied === null) return 0;
    tally.add(applied);
    report({ note: `${tally.rows} rows` });
    return applied.tables.reduce((sum, { written }) => sum + written, 0);
  });
}
