import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { LifeboatError, reasonOf } from "@lifeboat/core";
import Database, { type Database as Connection } from "better-sqlite3";
import { CheckpointWindow } from "./checkpoint-window.ts";
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
  return opened(path, snapshotOf);
}

/**
 * The same, for short reads of which each has a snapshot of its own, so that the product's checkpoints go through between
 * them: a profile of many gigabytes takes minutes, and its WAL would grow for as long. The schema is that of one moment.
 * @throws LifeboatError as {@link openSource}
 */
export function openSourceInParts(path: string): PlanSource {
  return opened(path, inParts);
}

function opened<Made>(path: string, make: (db: Connection, path: string) => Made): Made {
  if (!existsSync(path))
    throw new LifeboatError({
      code: "SQLITE_NOT_FOUND",
      kind: "usage",
      message: `there is no SQLite database at ${path}`,
      remedy: "set sqlite.path in the configuration to the database's file",
      details: { path },
    });
  let db: Connection | undefined;
  try {
    db = new Database(path, { readonly: true, timeout: 10_000 });
    assertUtf8(db, path);
    db.defaultSafeIntegers(true);
    defineFunctions(db);
    return make(db, path);
  } catch (cause) {
    db?.close();
    if (cause instanceof LifeboatError) throw cause;
    throw new LifeboatError({
      code: "SQLITE_UNREADABLE",
      message: `the SQLite database ${path} can't be read: ${reasonOf(cause)}`,
      remedy:
        "check that it is a SQLite database, its permissions, and that no other process holds it exclusively",
      details: { path },
      cause,
    });
  }
}

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
  const window = new CheckpointWindow(db);
  const look = <Result>(read: () => Result): Result => {
    window.await();
    db.exec("BEGIN");
    try {
      return read();
    } finally {
      if (db.inTransaction) db.exec("COMMIT");
    }
  };
  return { ...look(() => described(db, path)), look };
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

/**
 * What SQL alone can't say about a value. They see bytes (`CAST(… AS BLOB)`), never text that the
 * driver has decoded already, since that replaces broken sequences without a word.
 */
export function defineFunctions(db: Connection): void {
  const options = { deterministic: true, directOnly: true };
  db.function("lifeboat_is_utf8", options, (bytes: Buffer) => (isUtf8(bytes) ? 1n : 0n));
  db.function("lifeboat_md5", options, (row: Buffer) =>
    createHash("md5").update(row).digest("hex"),
  );
  db.function("lifeboat_real", options, realBytes);
  db.function("lifeboat_real_hex", options, (real: number) => realBytes(real).toString("hex"));
  db.function("lifeboat_real_of", options, (hex: string) => Buffer.from(hex, "hex").readDoubleBE());
  db.function("lifeboat_zero", options, (zero: number) => (Object.is(zero, -0) ? "-0" : "0"));
  db.function("lifeboat_clean", options, (bytes: Buffer) =>
    bytes.toString("utf8").replaceAll("\0", ""),
  );
  db.function("lifeboat_unexpected", options, (type: string, place: string) => {
    throw new Error(`${place} holds a value of class ${type} that its profile did not show`);
  });
}

/** The eight bytes of an IEEE 754 double, most significant first, as Postgres sends a float8. */
function realBytes(real: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(real);
  return bytes;
}
