import { setTimeout as sleep } from "node:timers/promises";
import type { Report } from "@lifeboat/core";
import type { Client } from "pg";
import { type MigrationPhase, phaseOf } from "./journal.ts";

/** Between two looks at what has become of the run that took over. */
const PAUSE_MS = 250;

export interface StandBy {
  /** The migration's id. */
  readonly id: string;
  /** What takes over from a sync, as its line of progress names it. */
  readonly by: "cutover" | "rollback";
  /** The phase that says that it is at work. */
  readonly during: MigrationPhase;
  /** The phase in which the sync follows. */
  readonly own: MigrationPhase;
  readonly signal: AbortSignal;
  readonly report: Report;
}

/**
 * Lets go of the migration's lock for a run that takes over from a sync, and waits for what comes of it.
 * @returns whether the product is where it was, and the migration too
 */
export async function isGivenBack(client: Client, standBy: StandBy): Promise<boolean> {
  const { id, by, during, own, signal, report } = standBy;
  if (signal.aborted) return false;
  await client.query("SELECT pg_advisory_unlock_all()");
  while (!signal.aborted) {
    const phase = await phaseOf(client, id);
    if (phase !== during) return phase === own;
    report({ note: `a ${by} has taken over; goes on if that is given back` });
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {
      // Stopped by hand: the loop's own question ends it.
    });
  }
  return false;
}
