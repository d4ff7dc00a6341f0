import type { LogPlace } from "../wal/place.ts";
import type { FileAtRest } from "./file-at-rest.ts";
import type { WatchLimits } from "./limits.ts";
import type { NewFrames } from "./live-wal.ts";

/** What a complete checkpoint left: all that is committed lies in the database file. */
export interface CopiedBack {
  readonly at: Date;
  readonly place: LogPlace;
  readonly gateMs: number;
}

/** Where reading goes on. */
export interface ReadFrom {
  readonly place: LogPlace;
  /** That was reached there, in ms since 1970. */
  readonly instant: number;
  /** How the file lay when all up to there was copied back. */
  readonly rest?: FileAtRest | undefined;
}

export interface HolderInit {
  /** With all links followed. */
  readonly path: string;
  /** As the app knows it; a link there may be turned to another file. */
  readonly configured?: string;
  readonly pageSize: number;
  /** Whether a checkpoint may run while writers write; see `hasWalResetFix`. */
  readonly checkpointFreely: boolean;
  readonly limits: WatchLimits;
  /** Is given all frames that are found, in order, with the instant by which they had been committed. */
  found(frames: NewFrames, instant: number): void;
  /** Whether the WAL may be begun anew once it is copied back: nothing lies in it alone. */
  mayBeginAnew(): boolean;
}
