import { createHash } from "node:crypto";
import { PackedBytes } from "../../packed/bytes.ts";
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

export interface ManifestOwner {
  readonly systemIdentifier: string;
  readonly major: number;
}

/** Since then a manifest names its cluster, as version 2. */
const NAMES_CLUSTER_SINCE = 17;

/**
 * A backup manifest as the server writes it (the manual, "Backup Manifest Format"): pg_verifybackup and
 * pg_combinebackup of the server's major version read it. Files are written into it as they are taken, and kept
 * packed: a cluster may have a million of them.
 */
export class ManifestWriter {
  readonly #content = new PackedBytes();
  readonly #hash = createHash("sha256");
  #separator = "";

  constructor({ systemIdentifier, major }: ManifestOwner) {
    const named = major >= NAMES_CLUSTER_SINCE;
    const identity = named ? `"System-Identifier": ${systemIdentifier},\n` : "";
    this.#write(
      `{ "PostgreSQL-Backup-Manifest-Version": ${named ? 2 : 1},\n${identity}"Files": [\n`,
    );
  }

  add({ path, bytes, modified, sha256 }: TakenFile): void {
    const time = `${modified.toISOString().slice(0, 19).replace("T", " ")} GMT`;
    const entry = {
      Path: path,
      Size: bytes,
      "Last-Modified": time,
      "Checksum-Algorithm": "SHA256",
      Checksum: sha256,
    };
    this.#write(`${this.#separator}${JSON.stringify(entry)}`);
    this.#separator = ",\n";
  }

  /** The whole of it. Nothing is added afterwards. */
  finish(wal: WalRange): PackedBytes {
    const range = {
      Timeline: wal.timeline,
      "Start-LSN": formatLsn(wal.start),
      "End-LSN": formatLsn(wal.end),
    };
    this.#write(`\n],\n"WAL-Ranges": [\n${JSON.stringify(range)}\n],\n`);
    const sha256 = this.#hash.digest("hex");
    this.#content.add(Buffer.from(`"Manifest-Checksum": "${sha256}"}\n`));
    return this.#content;
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    this.#hash.update(bytes);
    this.#content.add(bytes);
  }
}
