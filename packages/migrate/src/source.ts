import { statSync } from "node:fs";
import { LifeboatError } from "@lifeboat/core";
import type { Database as Connection } from "better-sqlite3";
import { ShortReads } from "./short-reads.ts";
import { type OpenOptions, openSqlite } from "./sqlite/open-sqlite.ts";
import { readSchema } from "./sqlite/read-schema.ts";
import type { SqliteSchema } from "./sqlite/schema.ts";
import { productSchemaDigest } from "./sqlite/schema-digest.ts";

/** A SQLite database as it is read to plan by. */
export interface PlanSource {
  readonly db: Connection;
  readonly schema: SqliteSchema;
  /** Of that schema. */
  readonly schemaDigest: string;
  readonly schemaVersion: number;
  readonly path: string;
  readonly bytes: number;
  /** Whether the product may write to it between two reads. */
  readonly isLive: boolean;
  /** Reads in one snapshot: of its own where none is held. */
  look<Result>(read: () => Result): Result;
  /** May be called twice. */
  close(): void;
}

/**
 * A SQLite database held still: one read transaction from opening to {@link Source.release}. What
 * the profile saw is then what the copy reads. In WAL mode writers go on meanwhile; in a
 * rollback-journal database they wait.
 */
export interface Source extends PlanSource {
  /** Ends the read transaction; says whether another connection may have committed since it began. */
  release(): { readonly touched: boolean };
  /** Takes a new snapshot after a release, and gives the schema as it is now. */
  hold(): SqliteSchema;
}

/**
 * Opens a SQLite database read-only and takes its snapshot.
 * @throws LifeboatError `SQLITE_NOT_FOUND`, `SQLITE_ENCODING` (both usage), `SQLITE_UNREADABLE`
 */
export function openSource(path: string): Source {
  return openSqlite(path, OPENING, (db) => {
    assertUtf8(db, path);
    return snapshotOf(db, path);
  });
}

/**
 * The same, for short reads of which each has a snapshot of its own, so that the product's checkpoints go through between
 * them: a profile of many gigabytes takes minutes, and its WAL would grow for as long. The schema is that of one moment.
 * @throws LifeboatError as {@link openSource}
 */
export function openSourceInParts(path: string): PlanSource {
  return openSqlite(path, OPENING, (db) => {
    assertUtf8(db, path);
    return inParts(db, path);
  });
}

const OPENING: OpenOptions = {
  readonly: true,
  busyMs: 10_000,
  remedies: {
    missing: "set sqlite.path in the configuration to the database's file",
    unreadable:
      "check that it is a SQLite database, its permissions, and that no other process holds it exclusively",
  },
};

/** Texts are read by their bytes, and those of UTF-16 are no text for Postgres. */
function assertUtf8(db: Connection, path: string): void {
  const encoding = db.pragma("encoding", { simple: true });
  if (encoding === "UTF-8") return;
  throw new LifeboatError({
    code: "SQLITE_ENCODING",
    kind: "usage",
    message: `the SQLite database ${path} is encoded in ${encoding}, and only UTF-8 can be migrated`,
    remedy: `(echo "PRAGMA encoding = 'UTF-8';"; sqlite3 OLD .dump) | sqlite3 NEW, then migrate the new file`,
    details: { path, encoding },
  });
}

function inParts(db: Connection, path: string): PlanSource {
  const reads = new ShortReads(db);
  const look: PlanSource["look"] = (read) => reads.read(read);
  return { ...look(() => described(db, path)), isLive: true, look };
}

function described(db: Connection, path: string) {
  return {
    db,
    path,
    schema: readSchema(db),
    schemaDigest: productSchemaDigest(db),
    schemaVersion: Number(db.pragma("schema_version", { simple: true })),
    bytes: statSync(path).size,
    close: () => void db.close(),
  };
}

function snapshotOf(db: Connection, path: string): Source {
  const version = () => db.pragma("data_version", { simple: true });
  let before: unknown;
  const hold = () => {
    db.exec("BEGIN");
    const schema = readSchema(db);
    before = version();
    return schema;
  };
  hold();
  return {
    ...described(db, path),
    isLive: false,
    look: (read) => read(),
    hold,
    release() {
      db.exec("COMMIT");
      // data_version moves for commits of other connections, once we look again, and now and then
      // for a checkpoint.
      return { touched: version() !== before };
    },
  };
}
