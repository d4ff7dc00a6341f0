import { LifeboatError } from "@lifeboat/core";
import { type Lsn, parseLsn } from "../wal/lsn.ts";

/** The span of WAL that a base backup needs. */
export interface WalRange {
  readonly timeline: number;
  readonly start: Lsn;
  readonly end: Lsn;
}

/**
 * The WAL that a server's backup manifest asks for (the manual, "Backup Manifest Format"): the
 * numbers that pg_verifybackup goes by, in words that depend on no language setting.
 * @throws LifeboatError `BACKUP_MANIFEST_INVALID` when they are not there
 */
export function walRangeOf(manifest: Uint8Array): WalRange {
  const ranges = (parsed(manifest) as { "WAL-Ranges"?: unknown })["WAL-Ranges"];
  const [range, ...more] = Array.isArray(ranges) ? ranges : [];
  // A second range stands there only after a timeline switch during the backup, on a standby.
  if (more.length > 0 || typeof range !== "object" || range === null) throw invalid();
  const { Timeline: timeline, "Start-LSN": first, "End-LSN": last } = range;
  const start = parseLsn(String(first));
  const end = parseLsn(String(last));
  if (!Number.isSafeInteger(timeline) || start === undefined || end === undefined) throw invalid();
  return { timeline, start, end };
}

function parsed(manifest: Uint8Array): object {
  try {
    return JSON.parse(Buffer.from(manifest).toString("utf8")) as object;
  } catch (cause) {
    throw invalid(cause);
  }
}

function invalid(cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_MANIFEST_INVALID",
    message: "the server's backup manifest is cut short or names no span of WAL",
    remedy: "run the backup again; with --transport wire if it happens twice",
    cause,
  });
}
