import { LifeboatError, reasonOf } from "@lifeboat/core";

/** What a server says that cannot take the incremental backup, and what to do about it. */
const FAILURES: readonly (readonly [said: RegExp, code: string, remedy: string])[] = [
  [
    /unless WAL summarization is enabled/,
    "WAL_SUMMARIES_OFF",
    "alter system set summarize_wal = on; select pg_reload_conf(); then a full backup, on which incremental ones can build",
  ],
  [
    /WAL summaries are required|summarization is not progressing/,
    "WAL_SUMMARIES_MISSING",
    "take a full backup (lifeboat backup), and keep summaries for longer than the time between backups: alter system set wal_summary_keep_time = '30d'; select pg_reload_conf()",
  ],
  [
    /timeline \d+ found in manifest, but not in this server's history|manifest system identifier/,
    "INCREMENTAL_PARENT_FOREIGN",
    "the newest backup in the repository is of another history than this server's: take a full backup (lifeboat backup)",
  ],
  [
    /manifest requires WAL from (initial|final) timeline/,
    "INCREMENTAL_PARENT_NEWER",
    "this standby is behind the backup it builds on, or the server was put back to an older state: run it again, and take a full backup (lifeboat backup) if that does not help",
  ],
];

/** Why a server refused an incremental backup; undefined when the failure is of another kind. */
export function incrementalFailure(cause: unknown): LifeboatError | undefined {
  const reason = reasonOf(cause);
  const found = FAILURES.find(([said]) => said.test(reason));
  if (!found || cause instanceof LifeboatError) return undefined;
  const [, code, remedy] = found;
  const { detail } = cause as { detail?: unknown };
  const more = typeof detail === "string" ? ` (${detail})` : "";
  return new LifeboatError({
    code,
    message: `no incremental backup can be taken: ${reason}${more}`,
    remedy,
    cause,
  });
}
