import type { HeldFile } from "../hold/held.ts";

/**
 * A database whose log is being shipped. Its watch' readers keep everybody else's pin out, so
 * whoever backs it up asks it to hold the file still.
 */
export interface ShippedDatabase {
  /** Null where it is not known. */
  readonly lineage: string | null;
  /** That its watch has ended, so that nothing keeps others from holding the file. */
  readonly isGone?: boolean;
  /**
   * Holds the file still with everything that is committed in it; undefined when an old reader kept
   * that from being done for the whole patience.
   */
  hold(options: {
    readonly patienceMs: number;
    readonly signal: AbortSignal;
  }): Promise<HeldFile | undefined>;
}

/** Those of this process, by the database's name. */
export type Shipping = ReadonlyMap<string, ShippedDatabase>;
