import { logEnd } from "../capture/change-log.ts";
import { schemaSince } from "../capture/schema-watch.ts";
import type { Forward } from "../forward/forward.ts";
import { makeRefusals, refuseForGood } from "../freeze.ts";
import type { LiveSource } from "../live-source.ts";
import { takenOver } from "../target/taken-over.ts";
import { refusedNoMore } from "./cutover-failures.ts";

/**
 * Makes the triggers that will refuse writes, in a write of its own, so that the freeze makes no schema.
 * @returns false where the schema was written anew since the last look: rowids must be read again before it is noted
 */
export function prepareRefusals(source: LiveSource): boolean {
  const { db } = source;
  return source.write(() => {
    if (schemaSince(db) !== "same") return false;
    makeRefusals(db);
    return true;
  });
}

/**
 * From its commit on SQLite does not take writes again by itself. Under the write lock it is sure, whatever a clock has done to the
 * deadline, that none was taken since the freeze: the capture is still in place and would have logged it.
 * @throws LifeboatError `CUTOVER_TOO_SLOW` where one was, `TAKEN_OVER` where another run has frozen it since
 */
export function refuseUntouched(source: LiveSource, { watermark }: Forward, until: number): void {
  const { db } = source;
  source.write(() => {
    if (!refuseForGood(db, until)) throw takenOver();
    const isUntouched = (logEnd(db) ?? 0n) === watermark && schemaSince(db) === "same";
    if (!isUntouched) throw refusedNoMore();
  });
}
