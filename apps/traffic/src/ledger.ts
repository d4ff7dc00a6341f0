/** One transaction that the database has acknowledged. */
export interface Acknowledged {
  /** The id of the row that the transaction added to the product's activity table. */
  readonly seq: number;
  /** When the acknowledgement was there: ISO 8601 UTC with milliseconds. */
  readonly at: string;
}

/**
 * Writes a line a commit, only after the commit. Whoever reads them knows a row that must be found
 * again in every copy taken later, also when this process is killed right after.
 */
export function acknowledge(seq: number): void {
  const line: Acknowledged = { seq, at: new Date().toISOString() };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
