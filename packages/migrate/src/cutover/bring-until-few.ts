import type { Report } from "@lifeboat/core";
import type { Forward } from "../forward/forward.ts";
import type { SyncTally } from "../forward/sync-tally.ts";

/** With fewer rows than this waiting the freeze is a matter of milliseconds. */
const FEW_ROWS = 200;
/** A product that writes faster than Postgres takes is not waited for without end. */
const MAX_ROUNDS = 200;

/** Brings what waits, look after look, until one brings few rows. */
export async function bringUntilFew(
  forward: Forward,
  tally: SyncTally,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    signal.throwIfAborted();
    const applied = await forward.look(signal);
    if (applied === null) return;
    tally.add(applied);
    report({ note: `${tally.rows} rows` });
    if (applied.tables.reduce((sum, { written }) => sum + written, 0) < FEW_ROWS) return;
  }
}
