import { MOST_MARKS } from "../log/note.ts";

/** How a watch paces itself. */
export interface WatchLimits {
  /** Between two looks at the WAL, in milliseconds: instants are exact to this. */
  readonly pollMs: number;
  /** From a segment's first commit until it is stored, in milliseconds. */
  readonly segmentMs: number;
  /** Looks at the WAL that one segment tells of at most; what is found later is of the next one. */
  readonly segmentMarks: number;
  /** Bytes of frames after which the WAL is copied back. SQLite's own default is 1,000 pages. */
  readonly checkpointBytes: number;
  /** What may be left behind the gate, where writers wait: more is let through first. */
  readonly residueBytes: number;
  /** How long a checkpoint behind the gate is tried while one of the app's is under way, in milliseconds. */
  readonly gateMs: number;
  /** Bytes of WAL at which the watch lets go of it, so that the app's disk does not fill; null: a quarter of what is free. */
  readonly walBytes: number | null;
  /** Between two looks for segments that can be merged, in milliseconds. */
  readonly compactMs: number;
  /** How long the last segment may take when the watch is told to stop, in milliseconds. */
  readonly graceMs: number;
}

export const WATCH_LIMITS: WatchLimits = {
  pollMs: 50,
  segmentMs: 1000,
  segmentMarks: MOST_MARKS,
  checkpointBytes: 4 << 20,
  residueBytes: 1 << 20,
  gateMs: 50,
  walBytes: null,
  compactMs: 60_000,
  graceMs: 1700,
};
