import { setTimeout as pause } from "node:timers/promises";
import type { Report } from "@lifeboat/core";

/** Something of a comparison that could not be told while it was being written. */
export interface Unsettled {
  /** Looks once more. @returns whether nothing of it is left open */
  settle(): Promise<boolean>;
}

/** How long a comparison waits for a sync to bring rows over, in milliseconds. */
export interface Patience {
  /** In all. */
  readonly total: number;
  /** Since Postgres last got any. */
  readonly idle: number;
}

export const USUAL_PATIENCE: Patience = { total: 30_000, idle: 5_000 };

const POLL_MS = 200;

export interface SettleInput {
  readonly unsettled: readonly Unsettled[];
  /** The watermark of the last look, and the newest. */
  readonly watermark: { readonly seen: () => bigint; readonly newest: () => Promise<bigint> };
  readonly patience: Patience;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** Looks again at what is open until nothing is, or a sync brings no more, or patience ends. */
export async function settleAll(input: SettleInput): Promise<void> {
  const end = performance.now() + input.patience.total;
  let open = input.unsettled;
  for (;;) {
    const still: Unsettled[] = [];
    for (const one of open) if (!(await one.settle())) still.push(one);
    open = still;
    if (open.length === 0) return;
    input.report({ note: "waiting for the sync to bring the rows in flight" });
    if (!(await hasMoved(input, end))) return;
  }
}

async function hasMoved({ watermark, patience, signal }: SettleInput, end: number) {
  const until = Math.min(end, performance.now() + patience.idle);
  while (performance.now() < until) {
    if ((await watermark.newest()) !== watermark.seen()) return true;
    await pause(Math.min(POLL_MS, patience.idle), undefined, { signal });
  }
  return false;
}
