import type { DatabaseFolder } from "./database-folder.ts";
import type { Finding } from "./finding.ts";
import type { BackupType, Manifest, ManifestObject } from "./manifest.ts";
import type { Report } from "./progress.ts";
import type { RecoveryTarget, RecoveryWindow } from "./window.ts";

export type EngineKind = "sqlite" | "postgres";

/** Asks for a consistent snapshot of one database. */
export interface SnapshotRequest {
  readonly folder: DatabaseFolder;
  readonly id: string;
  readonly type: BackupType;
  /** What an incremental backup builds on: the full one first, its direct parent last; empty for a full one. */
  readonly parents: readonly Manifest[];
  readonly options: SnapshotOptions;
  /**
   * Stores one object of the backup: digests, compresses, writes it, and resolves when it is
   * durable. `name` is without `.zst`. May be called for several objects at once.
   */
  store(name: string, role: string, content: AsyncIterable<Uint8Array>): Promise<ManifestObject>;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** The contract's options of `backup`; an engine refuses those that mean nothing to it (kind `usage`). */
export interface SnapshotOptions {
  readonly transport?: "auto" | "pg_basebackup" | "wire" | "parallel";
  readonly wal?: "stream" | "archive";
  readonly jobs?: number;
  readonly maxRate?: number | "auto" | "adaptive";
  readonly label?: string;
  /** Check the database before its backup counts. */
  readonly check?: boolean;
}

export interface Snapshot {
  /** The instant whose state the snapshot holds, by the database's clock. */
  readonly consistentAt: Date;
  /** Goes into the manifest; the engine reads it back at restore. JSON only. */
  readonly details: Readonly<Record<string, unknown>>;
  /** What the engineer should know although the backup is good. */
  readonly findings: readonly Finding[];
}

/** Which backup to restore and up to where, decided before a byte is written. */
export interface RecoveryPlan {
  /** The base first, then the incremental backups upon it, in order. */
  readonly backups: readonly [Manifest, ...Manifest[]];
  readonly target: RecoveryTarget;
  readonly timeline: number | null;
  /** The name of the copy in the directory restored into; null: it is the directory itself. */
  readonly fileName: string | null;
  /** Up to where the copy will recover; time null when only the position is known. */
  readonly willRecoverTo: { readonly time: string | null; readonly lsn: string | null };
}

export interface RestoreRequest {
  readonly folder: DatabaseFolder;
  readonly plan: RecoveryPlan;
  /** The directory to make, or to fill if it is there and empty. Absolute. */
  readonly to: string;
  readonly tablespaceMapping: ReadonlyMap<string, string>;
  /** For scratch copies: tablespaces without a mapping go below this directory; null: to where they were. */
  readonly tablespaceRoot: string | null;
  /** Put the restored files over what is there. */
  readonly force: boolean;
  /** How many objects are unpacked at once; the engine's own choice when left out. */
  readonly jobs?: number | undefined;
  /**
   * The program and arguments that fetch one log object, before its name and destination:
   * `[…, "wal", "fetch"]`. Goes into the restored copy where it recovers by itself.
   */
  readonly fetchCommand: readonly string[];
  /**
   * Also read, before the copy gets its name, all of the log that it will need to reach its target.
   * Left out by drills, which bring the copy to life at once and so read it as well.
   */
  readonly proveLog?: boolean;
  /**
   * Leave out the engine's own check of the whole copy (SQLite's `integrity_check`), which finds what was wrong in
   * the source; digests are checked all the same. Engines without such a check have nothing to leave out.
   */
  readonly skipCheck?: boolean;
  /** Something will be extracted from the copy: what that takes is looked for before anything is written. */
  readonly willExtract?: boolean;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface RestoredDatabase {
  /** The database file or the data directory. */
  readonly path: string;
  readonly bytes: number;
  readonly willRecoverTo: RecoveryPlan["willRecoverTo"];
  /** The instant of the last commit applied; null where the copy recovers when it is started. */
  readonly recoveredTo: string | null;
  readonly findings: readonly Finding[];
}

export interface ReviveRequest {
  readonly folder: DatabaseFolder;
  readonly plan: RecoveryPlan;
  readonly restored: RestoredDatabase;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** One part of a copy, and where it goes. */
export interface ExtractRequest {
  /** A database; or a table, with its schema and database where that needs saying. */
  readonly name: string;
  /** A file, absolute, that is not there or may be replaced; or the URL of a database to fill. */
  readonly into: string;
  readonly signal: AbortSignal;
}

export interface Extracted {
  readonly name: string;
  /** Of the dump. */
  readonly bytes: number;
}

/** A restored copy brought to life in private: nobody else can reach it, nothing of the original is touched. */
export interface RevivedDatabase {
  /** The instant of the last commit that was really recovered; null if it holds none since its base. */
  readonly recoveredTo: string | null;
  readonly recoveredLsn: string | null;
  /** The engine's own proof that the copy is sound (`integrity_check`, a read of every table …). */
  prove(): Promise<readonly { name: string; ok: boolean; message: string }[]>;
  /** Runs one statement that reads; rows as arrays of plain values. `database` as the engine names them. */
  query(sql: string, database?: string): Promise<readonly (readonly unknown[])[]>;
  /** Takes one part out of the copy, as a dump; engines without parts have no such thing. */
  extract?(request: ExtractRequest): Promise<Extracted>;
  /** Stops and releases everything. The files stay. May be called twice. */
  close(): Promise<void>;
}

/** Asks for the log of one live database to be shipped until `signal` aborts. */
export interface WatchRequest {
  readonly folder: DatabaseFolder;
  /**
   * Backs this database up while its log goes on being shipped, through the one operation (lock, manifest last): what
   * a new lineage begins with.
   */
  backup(type: BackupType): Promise<Manifest>;
  /** The backups of this database that there are, oldest first. */
  backups(): Promise<readonly Manifest[]>;
  /** Leaves word for `status`, which another process asks: the newest replaces the one before. JSON only. */
  note(facts: WatchNote["facts"]): Promise<void>;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** What a watch of a database last said of itself. */
export interface WatchNote {
  /** Whether the process that said it still runs. */
  readonly alive: boolean;
  /** ISO 8601 UTC. */
  readonly at: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** How the shipping of the log stands, for `status`. */
export interface EngineStatus {
  readonly archive: {
    readonly ok: boolean;
    readonly lagSeconds: number | null;
    readonly lagBytes: number | null;
    readonly lastSegment: string | null;
    readonly oldestUnarchived: string | null;
  } | null;
  readonly slots: readonly Readonly<Record<string, unknown>>[];
  readonly alerts: readonly Finding[];
  /** What only this engine knows of its shipping: times at the gate, requests, fallbacks. */
  readonly shipping?: Readonly<Record<string, unknown>>;
}

/** Something wrong in the repository. */
export interface Problem {
  /** The object's path from the repository's root. */
  readonly object: string;
  readonly code: string;
  readonly message: string;
}

export interface LogCheck {
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

/**
 * A database that can be backed up: the seam behind which SQLite and Postgres lie.
 *
 * `databases`, `inspect`, `snapshot` and `status` need the live database and throw
 * `ENGINE_NOT_CONFIGURED` (kind `usage`) where none is configured. All others need only the
 * repository. Errors are LifeboatErrors.
 */
export interface Engine {
  readonly kind: EngineKind;

  /** The folder names of the live databases, in order: SQLite's names; Postgres: its one system identifier. */
  databases(): Promise<readonly string[]>;

  /** What stands in the way of a good backup. What is wrong is a finding and never thrown. */
  inspect(): Promise<readonly Finding[]>;

  /**
   * Takes a consistent snapshot and stores all of it, log needed for consistency included, before
   * it resolves. Leaves nothing behind on the database, whether it resolves, throws or is aborted.
   */
  snapshot(request: SnapshotRequest): Promise<Snapshot>;

  /**
   * What keeps an incremental backup from building on these, the full one first, its direct parent last; a full
   * one is taken then, and this is told. Null when nothing does, as where an engine leaves it out.
   */
  obstacleToBuildOn?(
    folder: DatabaseFolder,
    parents: readonly [Manifest, ...Manifest[]],
  ): Promise<Finding | null>;

  /**
   * Ships the log of a live database as it is written. When the signal aborts it ships what is
   * left, lets go of the database, and resolves. Passing faults are retried inside and noted; it throws only
   * where going on makes no sense.
   */
  watch(request: WatchRequest): Promise<void>;

  /**
   * How log shipping stands. What cannot be asked is an alert, never thrown.
   * @param note what the watch of this database last said; null where none ever ran on this machine
   */
  status(folder: DatabaseFolder | null, note: WatchNote | null): Promise<EngineStatus>;

  /** Spans in which every instant can be restored, oldest first, from backups and log as they lie. */
  windows(folder: DatabaseFolder, backups: readonly Manifest[]): Promise<readonly RecoveryWindow[]>;

  /**
   * Chooses base and end for a target.
   * @throws kind `not-found` with the windows' bounds when the target lies in none; kind `failed`
   *   naming the object when what is needed is missing from the repository.
   */
  plan(
    folder: DatabaseFolder,
    backups: readonly Manifest[],
    target: RecoveryTarget,
    options: { readonly timeline?: number | undefined },
  ): Promise<RecoveryPlan>;

  /**
   * Builds the copy beside its place, checks every digest, makes it durable, and only then gives
   * it its name. On failure or abort nothing of it is left.
   */
  restore(request: RestoreRequest): Promise<RestoredDatabase>;

  /** Brings a restored copy to life in private. */
  revive(request: ReviveRequest): Promise<RevivedDatabase>;

  /** Reads the whole log in the repository and names every object that is corrupt, foreign or missing. */
  verifyLog(
    folder: DatabaseFolder,
    backups: readonly Manifest[],
    options: { readonly deep: boolean; readonly signal: AbortSignal },
  ): Promise<LogCheck>;
}
