import type { Report } from "@lifeboat/core";
import type { ServerConnection } from "../connection/connection.ts";
import type { TransportName } from "../details.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import type { PackedBytes } from "../packed/bytes.ts";
import type { Lsn } from "../wal/lsn.ts";
import type { CorruptPage } from "./corrupt-page.ts";

/** One archive of a base backup: the data directory, or a tablespace. */
export interface TablespaceArchive {
  /** null for the data directory itself. */
  readonly tablespace: { readonly oid: number; readonly location: string } | null;
  /** Its number among several archives of the same; null for the one that there is always. */
  readonly part: number | null;
  /**
   * A tar stream. It must be read to its end, or given up by `return()`. A chunk is good until the next
   * one is asked for: its memory is used again.
   */
  readonly content: AsyncIterable<Uint8Array>;
  /**
   * The SHA-256 of each file in it, in their order, once the content has passed. Only of archives that the next
   * backup can go on with, when this one is interrupted.
   */
  readonly fileDigests?: () => readonly string[];
}

/** A file of the cluster as an archive holds it. */
export interface StoredFile {
  /** From the data directory, also for what lies in a tablespace. */
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
  /** To the second. */
  readonly modified: Date;
  readonly sha256: string;
}

/** An archive that an interrupted backup stored whole. */
export interface StoredPart {
  readonly folders: readonly { readonly path: string; readonly mode: number }[];
  readonly files: readonly StoredFile[];
  /** Makes it an archive of this backup. False, and it is none, where the repository has damaged it. */
  keep(): Promise<boolean>;
  /** Removes it: its files come in other archives. */
  discard(): Promise<void>;
}

/** What an interrupted base backup stored, for a transport that can go on with it. */
export interface InterruptedBaseBackup {
  /** Each is kept or discarded. */
  readonly parts: readonly StoredPart[];
  /** The highest number that one of its parts had; further ones get greater numbers. */
  readonly highestPart: number;
  /** What is read of the cluster and comes in no archive has to pass here: it counts against the rate. */
  reading(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

export interface BaseBackupRequest {
  readonly connection: ServerConnection;
  readonly server: ServerFacts;
  /** Appears in `backup_label` and in the server's log. */
  readonly label: string;
  /** At most this many bytes a second; null for as fast as it goes. */
  readonly maxRate: number | null;
  /** The manifest of the backup that an incremental one builds on; null for a full one. */
  readonly parentManifest: PackedBytes | null;
  /** How many archives may come at once, where the transport can. */
  readonly jobs: number;
  /** Left out where there is none. */
  readonly interrupted?: InterruptedBaseBackup | undefined;
  /** Called for one archive after the other, the next when this has resolved; or for `jobs` at once. */
  archive(archive: TablespaceArchive): Promise<void>;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** What is known once all archives have been handed over. */
export interface BaseBackup {
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly timeline: number;
  /** The server's manifest. */
  readonly manifest: PackedBytes;
  /** Whether the manifest is a member of the data directory's archive already. */
  readonly manifestInArchive: boolean;
  /** Of clusters with page checksums: what did not fit, and is in the backup as it is in the cluster. */
  readonly corruptPages: readonly CorruptPage[];
}

/**
 * A way to get a base backup off a live server: the seam behind which pg_basebackup, the replication
 * protocol and our own reading lie. It holds back at most a few MiB: a slow reader slows the server down.
 * WAL is not its business. Whether it resolves, throws or is aborted, the server is out of backup
 * mode and no program of it runs on.
 */
export interface Transport {
  readonly name: TransportName;
  takeBaseBackup(request: BaseBackupRequest): Promise<BaseBackup>;
}
