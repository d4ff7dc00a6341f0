import { createHash } from "node:crypto";
import { formatLsn } from "../../wal/lsn.ts";
import type { WalRange } from "../backup-manifest.ts";

/** A file as it went into the backup. */
export interface TakenFile {
  /** From the data directory. */
  readonly path: string;
  readonly bytes: number;
  readonly modified: Date;
  readonly sha256: string;
}

export interface ManifestContent {
  readonly files: readonly TakenFile[];
  readonly wal: WalRange;
  readonly systemIdentifier: string;
  readonly major: number;
}

/** Since then a manifest names its cluster, as version 2. */
const NAMES_CLUSTER_SINCE = 17;

/**
 * A backup manifest as the server writes it (the manual, "Backup Manifest Format"): pg_verifybackup and
 * pg_combinebackup of the server's major version read it.
 */
export function writeBackupManifest(content: ManifestContent): Buffer {
  const { files, wal, major } = content;
  const named = major >= NAMES_CLUSTER_SINCE;
  const identity = named ? `"System-Identifier": ${content.systemIdentifier},\n` : "";
  const range = {
    Timeline: wal.timeline,
    "Start-LSN": formatLsn(wal.start),
    "End-LSN": formatLsn(wal.end),
  };
  const body = [
    `{ "PostgreSQL-Backup-Manifest-Version": ${named ? 2 : 1},\n${identity}"Files": [\n`,
    files.map((file) => JSON.stringify(entryOf(file))).join(",\n"),
    `\n],\n"WAL-Ranges": [\n${JSON.stringify(range)}\n],\n`,
  ].join("");
  const sha256 = createHash("sha256").update(body).digest("hex");
  return Buffer.from(`${body}"Manifest-Checksum": "${sha256}"}\n`);
}

function entryOf({ path, bytes, modified, sha256 }: TakenFile) {
  const time = `${modified.toISOString().slice(0, 19).replace("T", " ")} GMT`;
  return {
    Path: path,
    Size: bytes,
    "Last-Modified": time,
    "Checksum-Algorithm": "SHA256",
    Checksum: sha256,
  };
}
