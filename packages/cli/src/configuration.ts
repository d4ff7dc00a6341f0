import type { Compression, EngineKind } from "@lifeboat/core";
import type { Choice, Choices } from "@lifeboat/migrate";

/** A string, or the name of the environment variable that holds it. */
export type Text = string | { readonly env: string };

/** A statement that must be true of a restored copy: the first column of its first row, as true or 1. */
export interface ConfiguredCheck {
  readonly name: string;
  /** One statement for both engines, or one each. */
  readonly sql: Text | { readonly sqlite: Text; readonly postgres: Text };
  /** In which database; the first when left out. */
  readonly database?: Text;
}

/** A list, or a function that imports the module which exports it as `checks`. */
export type ConfiguredChecks =
  | readonly ConfiguredCheck[]
  | (() => Promise<{ readonly checks: readonly ConfiguredCheck[] }>);

export interface ConfiguredSqlite {
  /** The file's name without its ending when left out. */
  readonly name?: Text;
  readonly path: Text;
}

/** Drizzle's tables and whatever else a schema module exports, by name. */
export type SchemaModule = Record<string, unknown>;

/**
 * What `lifeboat.config.ts` exports as its default. Relative paths are relative to the file. Whatever
 * is heavy (drizzle's schema, checks) is named as a function, and imported only by the verbs that
 * need it.
 */
export interface LifeboatConfig {
  /** Becomes a folder in the repository. */
  readonly app: Text;
  readonly repository: { readonly type: "filesystem"; readonly path: Text };
  readonly sqlite?: ConfiguredSqlite | readonly ConfiguredSqlite[];
  readonly postgres?: {
    /** `postgres://…`. A password belongs in a passfile or in `{ env }`. */
    readonly url: Text;
    /** Where the server's files lie, when it runs on this machine. */
    readonly dataDirectory?: Text;
    /** Where the server's programs lie; found when left out. */
    readonly binDirectory?: Text;
    /** A standby that base backups are read from, to spare the primary: `postgres://…`. */
    readonly backupFrom?: Text;
    /** Files and folders outside the data directory that are kept with each backup: keys, certificates. */
    readonly extraPaths?: readonly Text[];
  };
  /** zstd levels, 1 to 19; both 3 when left out. `wal` is for the log. */
  readonly compression?: { readonly level?: number; readonly wal?: number };
  /** How WAL reaches the repository: by Postgres' own archive_command, or streamed by `watch` or `wal receive`. */
  readonly archive?: {
    readonly mode?: "command" | "receive";
    /** How much WAL may wait for a repository that takes none, such as `10G`; for ever when left out. */
    readonly maxBacklog?: Text;
    /** What then lives: the database (the default; WAL is given up, a new base follows), or the chain (all waits). */
    readonly policy?: "database" | "chain";
  };
  readonly drill?: { readonly checks?: ConfiguredChecks };
  readonly migrate?: {
    /** The schema of Postgres that tables are loaded into; `public` when left out. */
    readonly schema?: Text;
    /** Answers to what `migrate plan` found, by `table`, `table.column` or `table.constraint`. */
    readonly columns?: Readonly<Record<string, Choice>>;
    /** The role of Postgres that the product connects as, or one that its roles belong to: looked at before it moves. */
    readonly appRole?: Text;
    /** How long the product may be without a database that takes its writes, such as `10s`; seconds as a number. */
    readonly budget?: Text | number;
    /** The product's own switch to Postgres: after its success the product writes there. */
    readonly onCutover?: ConfiguredHook;
    /** The switch back to SQLite. */
    readonly onRollback?: ConfiguredHook;
  };
  /**
   * A program that writes as the product does, for rehearsals: `PROGRAM --database PATH | --url URL --rate N`, with a line on
   * stdout for each commit, until SIGTERM.
   */
  readonly traffic?: {
    readonly program: Text;
    /** Transactions a second; 50 when left out. */
    readonly rate?: number;
  };
  /** Drizzle's schemas, one for each engine. */
  readonly schema?: {
    readonly sqlite?: () => Promise<SchemaModule>;
    readonly postgres?: () => Promise<SchemaModule>;
  };
}

/** A line for the shell, a command with its arguments, or a URL that is asked by POST and answers with 2xx. */
export type ConfiguredHook =
  | Text
  | readonly Text[]
  | { readonly url: Text }
  | { readonly command: Text | readonly Text[] };
export type Hook = string | readonly string[] | { readonly url: string };

/** Gives a configuration file its type. */
export function defineConfig(configuration: LifeboatConfig): LifeboatConfig {
  return configuration;
}

/** A configuration as the verbs use it: checked, with variables and relative paths resolved. */
export interface Configuration {
  /** The file, absolute; null for one that is built into the command. */
  readonly file: string | null;
  readonly app: string;
  readonly repository: { readonly type: "filesystem"; readonly path: string };
  readonly sqlite: readonly { readonly name: string; readonly path: string }[];
  readonly postgres: PostgresPlace | null;
  readonly compression: Compression;
  /** `maxBacklog` in bytes, where the database goes first. */
  readonly archive: { readonly mode: "command" | "receive"; readonly maxBacklog?: number };
  /** The engines that have a live database. */
  readonly engines: readonly EngineKind[];
  /** The engine that is live now. */
  readonly live: EngineKind;
  readonly checks: ConfiguredChecks;
  readonly migrate: {
    readonly schema?: string;
    readonly columns?: Choices;
    readonly appRole?: string;
    readonly budgetSeconds?: number;
    readonly onCutover?: Hook;
    readonly onRollback?: Hook;
  };
  /** Null where none is configured. */
  readonly traffic: { readonly program: string; readonly rate: number } | null;
  readonly schema: NonNullable<LifeboatConfig["schema"]>;
}

export interface PostgresPlace {
  readonly url: string;
  readonly dataDirectory?: string;
  readonly binDirectory?: string;
  readonly backupFrom?: string;
  readonly extraPaths?: readonly string[];
}
