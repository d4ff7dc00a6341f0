import type { LiveSource } from "../live-source.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { forgetChanges } from "./change-log.ts";

/** Entries of the log that are forgotten in one transaction, so that the product waits for none of it. */
const FORGET_AT_ONCE = 5_000n;

/** Removes from SQLite's log what the target holds, up to an entry. */
export function forgetApplied(source: LiveSource, last: bigint): void {
  const { db } = source;
  const first = db.prepare<[], bigint | null>(`SELECT min(seq) FROM ${LOG_TABLE}`).pluck().get();
  for (let to = (first ?? last) - 1n; to < last; ) {
    to = to + FORGET_AT_ONCE < last ? to + FORGET_AT_ONCE : last;
    const through = to;
    source.write(() => forgetChanges(db, through));
  }
}
