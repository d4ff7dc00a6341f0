import { LifeboatError } from "@lifeboat/core";

/** The server takes kilobytes a second, from 32 to 1048576. */
const KILOBYTE = 1024;
const LEAST_RATE = 32;
const MOST_RATE = 1_048_576;

/**
 * The BASE_BACKUP command. With WAIT the server would hold the answer back until its archiver caught
 * up; whether all WAL is there is proved in the repository afterwards. With TABLESPACE_MAP the
 * tablespaces' places stand in a file of the archive, as pg_basebackup's tars have it, and not as
 * links that unpacking would follow.
 */
export function baseBackupCommand(options: {
  label: string;
  maxRate: number | null;
  incremental: boolean;
  /** The server compresses each archive, in one stream of zstd. */
  compressed: boolean;
}): string {
  const parts = [
    `LABEL ${literal(options.label)}`,
    "PROGRESS true",
    "CHECKPOINT 'fast'",
    "WAIT false",
    "MANIFEST 'yes'",
    "VERIFY_CHECKSUMS true",
    "TABLESPACE_MAP true",
  ];
  if (options.incremental) parts.push("INCREMENTAL true");
  // The lowest level: it is unpacked at once on this side.
  if (options.compressed) parts.push("COMPRESSION 'zstd'", "COMPRESSION_DETAIL 'level=1'");
  if (options.maxRate !== null) parts.push(`MAX_RATE ${rateInKilobytes(options.maxRate)}`);
  return `BASE_BACKUP (${parts.join(", ")})`;
}

/**
 * A rate in bytes a second as the server counts it.
 * @throws LifeboatError `RATE_INVALID` (kind `usage`) outside of what the server takes
 */
export function rateInKilobytes(bytesPerSecond: number): number {
  const rate = Math.floor(bytesPerSecond / KILOBYTE);
  if (rate >= LEAST_RATE && rate <= MOST_RATE) return rate;
  throw new LifeboatError({
    code: "RATE_INVALID",
    kind: "usage",
    message: `a rate of ${bytesPerSecond} bytes a second is none that a Postgres server takes`,
    remedy: "give --max-rate between 32K and 1G",
  });
}

/** The replication grammar knows only doubled quotes; the label becomes a line of a file. */
function literal(text: string): string {
  return `'${oneLine(text).replaceAll("'", "''")}'`;
}

/** A label as the server can write it into `backup_label`. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
