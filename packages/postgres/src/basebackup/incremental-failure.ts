import { LifeboatError, reasonOf } from "@lifeboat/core";
import { type Lsn, lsnOf } from "../wal/lsn.ts";

/** What there is to do about a server that cannot take the incremental backup, by why. */
const REMEDIES = {
  WAL_SUMMARIES_OFF:
    "alter system set summarize_wal = on; select pg_reload_conf(); then a full backup, on which incremental ones can build",
  WAL_SUMMARIES_MISSING:
    "take a full backup (lifeboat backup), and keep summaries for longer than the time between backups: alter system set wal_summary_keep_time = '30d'; select pg_reload_conf()",
  INCREMENTAL_PARENT_FOREIGN:
    "the newest backup in the repository is of another history than this server's: take a full backup (lifeboat backup)",
  INCREMENTAL_PARENT_NEWER:
    "this standby is behind the backup it builds on, or the server was put back to an older state: run it again, and take a full backup (lifeboat backup) if that does not help",
} as const;

type Why = keyof typeof REMEDIES;

/** The server's routines that refuse for one reason only; what they say of it is in the server's own language. */
const BY_ROUTINE: Readonly<Record<string, Why>> = {
  parse_basebackup_options: "WAL_SUMMARIES_OFF",
  WaitForWalSummarization: "WAL_SUMMARIES_MISSING",
};
/** The one that has several. */
const PREPARE = "PrepareForIncrementalBackup";
/** `object_not_in_prerequisite_state`: how all these refuse. */
const UNREADY = "55000";
/** What is wrong with the manifest itself: never translated. */
const OF_ANOTHER_CLUSTER = /system identifier/;

/** Why a server refused an incremental backup; undefined when the failure is of another kind. */
export function incrementalFailure(cause: unknown): LifeboatError | undefined {
  if (cause instanceof LifeboatError) return undefined;
  const reason = reasonOf(cause);
  const why = whyOf(cause, reason);
  if (why === undefined) return undefined;
  const { detail } = cause as { detail?: unknown };
  const more = typeof detail === "string" ? ` (${detail})` : "";
  return new LifeboatError({
    code: why,
    message: `no incremental backup can be taken: ${reason}${more}`,
    remedy: REMEDIES[why],
    cause,
  });
}

function whyOf(cause: unknown, reason: string): Why | undefined {
  const { code, routine = "" } = (cause ?? {}) as { code?: string; routine?: string };
  if (routine === "manifest_report_error")
    return OF_ANOTHER_CLUSTER.test(reason) ? "INCREMENTAL_PARENT_FOREIGN" : undefined;
  if (code !== UNREADY) return undefined;
  return routine === PREPARE ? byPositions(reason) : BY_ROUTINE[routine];
}

/**
 * It names two positions, in every language in this order, but for a timeline that the server knows nothing of: from
 * where to where summaries are missing, or where the parent ended and where this backup, before that, begins.
 */
function byPositions(reason: string): Why {
  const [first, second] = positionsIn(reason);
  if (first === undefined || second === undefined) return "INCREMENTAL_PARENT_FOREIGN";
  return first > second || /from initial timeline/.test(reason)
    ? "INCREMENTAL_PARENT_NEWER"
    : "WAL_SUMMARIES_MISSING";
}

function positionsIn(text: string): Lsn[] {
  return (text.match(/[0-9A-F]+\/[0-9A-F]+/g) ?? []).map(lsnOf);
}
