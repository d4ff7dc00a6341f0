import type { RequestCounts } from "./counted-storage.ts";
import type { IdleLog } from "./idle-log.ts";
import type { ShippingState } from "./shipping-state.ts";

/** What a watch leaves word of for `status`. */
export interface WatchFacts extends WatchExtras {
  readonly state: "shipping" | "beginning";
  readonly lineage: string;
  readonly lastSegment: string | null;
  readonly unshippedBytes: number;
  /** ISO 8601 UTC, of the oldest commit that is not stored; null when all is. */
  readonly unshippedSince: string | null;
  readonly backlogBytes: number;
  readonly walBytes: number;
  /** How long writers were kept out, in milliseconds. */
  readonly gates: ShippingState["gates"];
  /** Requests to the storage since the watch began. */
  readonly requests: Readonly<RequestCounts>;
  /** Why segments are not stored now, and since when. */
  readonly fault: { readonly since: string; readonly reason: string } | null;
  readonly compactionFault: string | null;
  /** Of one that ended in order: until when nothing was committed that is not stored. A living one is asked. */
  readonly idle?: IdleLog | null;
}

/** What the watch itself knows besides. */
export interface WatchExtras {
  /** Why the backup that a lineage begins with was not taken. */
  readonly backupFault: string | null;
  /** Backups since the watch began for which an old reader made the backup API necessary. */
  readonly fallbacks: number;
  /** The latest holes, each with its instant and its cause, and how many there were since the watch began. */
  readonly holes: readonly string[];
  readonly holeCount: number;
}

export function factsOfShipping(
  state: ShippingState,
  requests: Readonly<RequestCounts>,
  extras: WatchExtras,
): WatchFacts {
  const { unshippedSince, fault } = state;
  return {
    state: state.begun ? "shipping" : "beginning",
    lineage: state.lineage,
    lastSegment: state.lastSegment,
    unshippedBytes: state.unshippedBytes,
    unshippedSince: unshippedSince === null ? null : new Date(unshippedSince).toISOString(),
    backlogBytes: state.backlogBytes,
    walBytes: state.walBytes,
    gates: state.gates,
    requests: { ...requests },
    fault: fault ? { since: fault.since.toISOString(), reason: fault.reason } : null,
    compactionFault: state.compactionFault,
    ...extras,
  };
}
