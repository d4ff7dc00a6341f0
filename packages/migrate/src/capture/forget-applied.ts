import type { LiveSource } from "../live-source.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { forgetChanges } from "./change-log.ts";

/** Entries of the log that are forgotten in one transaction, so that the product waits for none of it. */
const FORGET_AT_ONCE = 5_000n;

/**
 * Between two commits of a product its lock is free for as long; a product that holds it for longer is not waited for, since what stays
 * in the log does no harm.
 */
const PATIENCE_MS = 200;

/** Removes from SQLite's log what the target holds, up to an entry, as far as the product lets it: the next time goes on from there. */
export function forgetApplied(source: LiveSource, last: bigint): void {
  const { db } = source;
  const first = db.prepare<[], bigint | null>(`SELECT min(seq) FROM ${LOG_TABLE}`).pluck().get();
  for (let to = (first ?? last) - 1n; to < last; ) {
    to = to + FORGET_AT_ONCE < last ? to + FORGET_AT_ONCE : last;
    const through = to;
    if (!source.writeIfFree(PATIENCE_MS, () => forgetChanges(db, through))) return;
  }
}
