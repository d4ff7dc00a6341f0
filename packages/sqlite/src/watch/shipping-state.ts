import type { GateTimes } from "./gate-times.ts";
import type { StoreFault } from "./segment-store.ts";

/** How shipping stands. */
export interface ShippingState {
  readonly lineage: string;
  /** Whether a backup has begun the lineage. */
  readonly begun: boolean;
  readonly lastSegment: string | null;
  /** Bytes of frames, and since when, that are committed and not stored yet. */
  readonly unshippedBytes: number;
  readonly unshippedSince: number | null;
  /** Bytes of frames that are not copied back into the database file. */
  readonly backlogBytes: number;
  /** Size of the `-wal` file, which never shrinks while it is held. */
  readonly walBytes: number;
  readonly gates: ReturnType<GateTimes["summary"]>;
  readonly fault: StoreFault | undefined;
  /** Why segments could not be merged when that was last tried. */
  readonly compactionFault: string | null;
}
