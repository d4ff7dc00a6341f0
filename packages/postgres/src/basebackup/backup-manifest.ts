import { createHash } from "node:crypto";
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

/** A file of a base backup, as its manifest lists it. */
export interface ManifestFile {
  /** From the data directory. Bytes as Latin-1 characters, since it need not be valid UTF-8. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * All files that a server's backup manifest lists, after proving that it is whole: its last line holds
 * the SHA-256 of the lines before.
 * @throws LifeboatError `BACKUP_MANIFEST_INVALID`
 */
export function manifestFiles(manifest: Uint8Array): ManifestFile[] {
  const bytes = Buffer.from(manifest);
  const { Files: files, "Manifest-Checksum": checksum } = parsed(bytes) as Record<string, unknown>;
  const lastLine = bytes.lastIndexOf('"Manifest-Checksum"');
  const sha256 = createHash("sha256").update(bytes.subarray(0, lastLine)).digest("hex");
  if (checksum !== sha256 || !Array.isArray(files)) throw invalid();
  return files.map((file) => {
    const { Path: path, "Encoded-Path": encoded, Size: size } = (file ?? {}) as Listed;
    const name = typeof path === "string" ? Buffer.from(path) : Buffer.from(encoded ?? "", "hex");
    if (name.length === 0 || !Number.isSafeInteger(size)) throw invalid();
    return { path: name.toString("latin1"), bytes: size as number };
  });
}

interface Listed {
  readonly Path?: string;
  /** Hexadecimal, for a path that is not UTF-8. */
  readonly "Encoded-Path"?: string;
  readonly Size?: number;
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
