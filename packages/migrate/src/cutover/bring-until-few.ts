import type { Report } from "@lifeboat/core";
import type { Forward } from "../forward/forward.ts";
import type { SyncTally } from "../forward/sync-tally.ts";

/** With fewer rows than this waiting the freeze is a matter of milliseconds. */
const FEW_ROWS = 200;
/** A product that writes faster than Postgres takes is not waited for without end. */
const MAX_ROUNDS = 200;
/** After so many looks that bring no fewer rows than one before them this is as close as it comes. */
const MAX_NO_NEARER = 20;

/**
 * Brings what waits, look after look, until one brings few rows, or none brings fewer any more: with what a busy product writes
 * during a look on a slow machine no look may ever bring few, and the freeze takes no longer than such a look.
 */
export async function bringUntilFew(
  forward: Forward,
  tally: SyncTally,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  let fewest = Number.POSITIVE_INFINITY;
  let noNearer = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    signal.throwIfAborted();
    const applied = await forward.look(signal);
    if (applied === null) return;
    tally.add(applied);
    report({ note: `${tally.rows} rows` });
    const rows = applied.tables.reduce((sum, { written }) => sum + written, 0);
    noNearer = rows < fewest ? 0 : noNearer + 1;
    fewest = Math.min(fewest, rows);
    if (rows < FEW_ROWS || noNearer === MAX_NO_NEARER) return;
  }
}
