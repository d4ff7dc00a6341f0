import type { DatabaseFolder } from "./database-folder.ts";
import type { Finding } from "./finding.ts";
import type { Manifest } from "./manifest.ts";
import type { Report } from "./progress.ts";
import type { RecoveryTarget } from "./window.ts";

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
  /** What is to be known of the choice, such as others that the target may have meant. */
  readonly findings?: readonly Finding[];
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
  /** Bring what stands in the directory to the backup's state, and keep what agrees with it. */
  readonly delta?: boolean | undefined;
  /** How many objects are unpacked at once; the engine's own choice when left out. */
  readonly jobs?: number | undefined;
  /**
   * The program and arguments that fetch one log object, before its name and destination:
   * `[…, "wal", "fetch"]`. Goes into the restored copy where it recovers by itself.
   */
  readonly fetchCommand: readonly string[];
  /**
   * Who asks brings the copy to life at once (a drill). What it then proves by itself is not looked for before: that
   * all of the log is there that it needs to reach its target, and what the living copy can be asked for (`integrity_check`).
   */
  readonly comesToLife?: boolean;
  /**
   * Leave out the engine's own check of the whole copy (SQLite's `integrity_check`, `pg_verifybackup`), which finds
   * what was wrong before the bytes were ours; digests are checked all the same.
   */
  readonly skipCheck?: boolean;
  /** This will be extracted from the copy: what that takes, and whether it can go where it shall, is looked at before anything is fetched. */
  readonly extract?: Pick<ExtractRequest, "name" | "into"> | undefined;
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
  /** What a delta restore kept and wrote. */
  readonly delta?: DeltaCounts | undefined;
  /** The engine's own program that compared the copy with the backup's own list of files, where there is one. */
  readonly verified?: VerifiedBy | undefined;
}

/** What a delta restore kept of a directory, and what it wrote. */
export interface DeltaCounts {
  /** Parts of files, 1 MiB each at most, that agreed with the backup. */
  readonly rangesKept: number;
  readonly rangesWritten: number;
  readonly bytesKept: number;
  readonly bytesWritten: number;
  /** Files and links that are not in the backup. */
  readonly filesRemoved: number;
}

export interface VerifiedBy {
  readonly program: string;
  readonly seconds: number;
}

export interface ReviveRequest {
  readonly folder: DatabaseFolder;
  readonly plan: RecoveryPlan;
  readonly restored: RestoredDatabase;
  /** Where all that is said by a server that is started is written as well; an engine without one writes nothing. */
  readonly serverLog?: string | undefined;
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
  /** What else was done for it, or left out, where it went into a database. */
  readonly notes?: readonly string[];
}

/** A restored copy brought to life in private: nobody else can reach it, nothing of the original is touched. */
export interface RevivedDatabase {
  /** The instant of the last commit that was really recovered; null if it holds none since its base. */
  readonly recoveredTo: string | null;
  readonly recoveredLsn: string | null;
  /** The engine's own proof that the copy is sound (`integrity_check`, a read of every table …). */
  prove(): Promise<readonly { name: string; ok: boolean; message: string }[]>;
  /**
   * Runs one statement that reads; rows as arrays of plain values. `database` as the engine names them. What the product's own role
   * could put behind a table's name must not get more rights by it than to read.
   */
  query(sql: string, database?: string): Promise<readonly (readonly unknown[])[]>;
  /** Takes one part out of the copy, as a dump; engines without parts have no such thing. */
  extract?(request: ExtractRequest): Promise<Extracted>;
  /** Stops and releases everything. The files stay. May be called twice. */
  close(): Promise<void>;
}
