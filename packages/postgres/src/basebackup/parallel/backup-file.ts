/** A file that a backup takes. */
export interface BackupFile {
  /** From the data directory, also for what lies in a tablespace. */
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}
