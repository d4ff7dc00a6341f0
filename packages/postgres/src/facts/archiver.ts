import type pg from "pg";

/** What pg_stat_archiver says. */
export interface ArchiverState {
  readonly archivedCount: number;
  readonly lastArchivedWal: string | null;
  readonly lastArchivedTime: Date | null;
  readonly failedCount: number;
  readonly lastFailedWal: string | null;
  readonly lastFailedTime: Date | null;
  /** Its last try failed. */
  readonly failing: boolean;
}

const QUERY = `
  select archived_count::int8::text as "archivedCount",
         last_archived_wal as "lastArchivedWal",
         last_archived_time as "lastArchivedTime",
         failed_count::int8::text as "failedCount",
         last_failed_wal as "lastFailedWal",
         last_failed_time as "lastFailedTime",
         coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing
  from pg_stat_archiver`;

export async function readArchiver(client: pg.Client): Promise<ArchiverState> {
  const row = (await client.query(QUERY)).rows[0];
  return {
    ...row,
    archivedCount: Number(row.archivedCount),
    failedCount: Number(row.failedCount),
  } as ArchiverState;
}
