import { LifeboatError, type SnapshotOptions } from "@lifeboat/core";

/**
 * Refuses the options of `backup` that only a Postgres cluster knows.
 * @throws LifeboatError `OPTION_NOT_FOR_SQLITE` (kind `usage`)
 */
export function refuseForeignOptions(options: SnapshotOptions): void {
  const { transport, wal, jobs, maxRate } = options;
  const foreign = [
    transport !== undefined && transport !== "auto" && "--transport",
    wal !== undefined && "--wal",
    jobs !== undefined && "--jobs",
    maxRate !== undefined && "--max-rate",
  ].find((option) => option !== false);
  if (!foreign) return;
  throw new LifeboatError({
    code: "OPTION_NOT_FOR_SQLITE",
    kind: "usage",
    message: `${foreign} means nothing for a SQLite database`,
    remedy: "leave it out; a SQLite database is copied as one file",
  });
}
