import type { DatabaseFolder, StoredBeside } from "./database-folder.ts";
import type { DrillRecord } from "./drill-record.ts";
import type { EngineKind } from "./engine-kind.ts";
import type {
  RecoveryPlan,
  RestoredDatabase,
  RestoreRequest,
  RevivedDatabase,
  ReviveRequest,
} from "./engine-restore.ts";
import type { Finding } from "./finding.ts";
import type { BackupType, Manifest, ManifestObject } from "./manifest.ts";
import type { Report } from "./progress.ts";
import type { Leftover } from "./unfinished-backup.ts";
import type { RecoveryTarget, RecoveryWindow } from "./window.ts";

export * from "./engine-restore.ts";

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
  store(
    name: string,
    role: string,
    content: AsyncIterable<Uint8Array>,
    beside?: StoredBeside,
  ): Promise<ManifestObject>;
  /**
   * What an interrupted backup stored under this id ({@link Engine.canGoOnWith}); empty as a rule. What is neither
   * kept nor removed when the snapshot is taken, is removed then.
   */
  readonly leftovers: readonly Leftover[];
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

/** Asks for the log of one live database to be shipped until `signal` aborts. */
export interface WatchRequest {
  readonly folder: DatabaseFolder;
  /**
   * Backs this database up while its log goes on being shipped, through the one operation (lock, manifest last): what
   * a new lineage begins with.
   */
  backup(type: BackupType): Promise<Manifest>;
  /** The backups of this database that have all that they build on, oldest first. */
  backups(): Promise<readonly Manifest[]>;
  /** Leaves word for `status`, which another process asks: the newest replaces the one before. JSON only. */
  note(facts: WatchNote["facts"]): Promise<void>;
  /** A line for the log of whoever runs the watch: that it cannot ship, and that it can again. No progress. */
  log(line: string): void;
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
  /** The database that lives, where only a server tells which: it may be another than that of the repository, as after an upgrade. */
  readonly database?: string;
  /** What only this engine knows of its shipping: times at the gate, requests, fallbacks. */
  readonly shipping?: Readonly<Record<string, unknown>>;
}

/** Something wrong in the repository. */
export interface Problem {
  /** The object's path from the repository's root. */
  readonly object: string;
  readonly code: string;
  readonly message: string;
  /** It is the same with this object as with that of the problem before, right behind which it belongs. */
  readonly continues?: true;
}

export interface LogCheck {
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

/** What of a database can be restored. */
export interface Reach {
  /** Spans in which every instant can be restored, oldest first. */
  readonly windows: readonly RecoveryWindow[];
  /**
   * What keeps the newest of a living database's log from being recovered, where `status` of the engine doesn't tell it. May ask the
   * live database, where one is configured: what it still brings is no hole.
   */
  holes(): Promise<readonly Finding[]>;
  /**
   * What of the log is proved to be gone, by the repository and what is known on this host. Left out where windows and `holes` tell all.
   * @param drills they tell how far it led once
   */
  lost?(drills: readonly DrillRecord[]): Promise<readonly Problem[]>;
}

export interface PlanOptions {
  readonly timeline?: number | undefined;
  /**
   * Ids of backups that can't be restored: no plan builds on them. What their manifests tell of the log is true all the same, such as
   * that nothing was committed before them.
   */
  readonly without?: ReadonlySet<string> | undefined;
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
   * Refuses options that mean nothing to this engine or exclude each other, before anything is touched.
   * @throws LifeboatError kind `usage`
   */
  refuseOptions(options: SnapshotOptions): Promise<void>;

  /**
   * Begins what a snapshot needs and what takes its time to start, while a repository is opened and locks are taken. Asked
   * for in vain where it comes to no snapshot.
   */
  warmUp?(): Promise<void>;

  /**
   * Whether a full backup with these options can go on with an object that an interrupted one stored: it is offered
   * that, under the same id. Engines that leave it out begin anew.
   * @param object its name in the backup's folder
   */
  canGoOnWith?(object: string, options: SnapshotOptions): Promise<boolean>;

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

  /** What can be restored, by backups and log as they lie. */
  reach(
    folder: DatabaseFolder,
    backups: readonly Manifest[],
    options?: Pick<PlanOptions, "without">,
  ): Promise<Reach>;

  /**
   * Whether an instant behind the last window can be restored all the same, since it is known on this host that
   * nothing was committed up to it. Left out where a log says by itself when it was idle.
   */
  holdsIdle?(folder: DatabaseFolder, backups: readonly Manifest[], at: Date): Promise<boolean>;

  /**
   * Chooses base and end for a target.
   * @throws kind `not-found` with the windows' bounds when the target lies in none; kind `failed`
   *   naming the object when what is needed is missing from the repository.
   */
  plan(
    folder: DatabaseFolder,
    backups: readonly Manifest[],
    target: RecoveryTarget,
    options: PlanOptions,
  ): Promise<RecoveryPlan>;

  /**
   * Refuses a place that cannot be restored into, before the first of several databases comes back. Left out where there is but one.
   * @throws LifeboatError kind `refused`
   */
  assertPlace?(request: Pick<RestoreRequest, "plan" | "to" | "force">): Promise<void>;

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
    options: {
      readonly deep: boolean;
      readonly signal: AbortSignal;
      /** They tell how far the log led once. */
      readonly drills?: readonly DrillRecord[];
    },
  ): Promise<LogCheck>;
}
