export type Severity = "error" | "warning" | "info";

/** Something that an inspection noticed, with what to do about it. Shown by `doctor` and before a backup. */
export interface Finding {
  /** A stable lower-case word with hyphens, such as `wal-senders-exhausted`. */
  readonly id: string;
  readonly severity: Severity;
  /** One sentence: what, where, how much. */
  readonly summary: string;
  /** What to do, as a sentence or a ready command. */
  readonly remedy: string;
}
