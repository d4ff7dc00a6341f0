/** How long a snapshot waits, and how much it lets grow. */
export interface SnapshotLimits {
  /** Milliseconds for which an old reader may keep the pin out before the backup API is used. */
  readonly pinPatienceMs: number;
  /** Milliseconds for which writers may keep any reader out before the backup fails. */
  readonly lockPatienceMs: number;
  /** By how many bytes the WAL may grow while the file is held; null: a quarter of the free space. */
  readonly walGrowthBytes: number | null;
  /** What a raw copy must leave free on its disk; null: a tenth of its size, at least 64 MiB. */
  readonly spareBytes: number | null;
}

export const DEFAULT_LIMITS: SnapshotLimits = {
  pinPatienceMs: 5_000,
  lockPatienceMs: 30_000,
  walGrowthBytes: null,
  spareBytes: null,
};
