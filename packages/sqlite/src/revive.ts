import { constants, copyFile, link } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { LifeboatError, type RevivedDatabase, type ReviveRequest, reasonOf } from "@lifeboat/core";
import { type Connection, connect, withFileMapped } from "./driver.ts";
import { integrityOf } from "./examine/integrity.ts";
import { databaseFailure } from "./failures.ts";
import { Scratch } from "./restore/scratch.ts";

type Proof = Awaited<ReturnType<RevivedDatabase["prove"]>>[number];

/**
 * Opens a restored copy for reading, under a second name in a private folder: reading a WAL-mode
 * database makes files beside it, and beside the restored file there shall be none.
 */
export async function reviveDatabase(request: ReviveRequest): Promise<RevivedDatabase> {
  const { restored, folder } = request;
  const scratch = await Scratch.make(dirname(restored.path));
  let connection: Connection;
  try {
    const alias = scratch.file(basename(restored.path));
    await aliasFor(restored.path, alias);
    connection = connect(alias, { readonly: true });
  } catch (thrown) {
    await scratch.remove();
    throw databaseFailure(restored.path, thrown);
  }
  return {
    recoveredTo: restored.recoveredTo,
    recoveredLsn: null,
    prove: async () => [provenSound(connection), ...provenReferences(connection)],
    query: async (sql, database) => {
      if (database !== undefined && database !== folder.database) throw otherDatabase(database);
      return read(connection, sql);
    },
    async close() {
      connection.close();
      await scratch.remove();
    },
  };
}

/** A second name costs nothing. */
async function aliasFor(path: string, alias: string): Promise<void> {
  try {
    await link(path, alias);
  } catch {
    // No links on this file system, or not to a file of another owner: a copy does the same, or says why not.
    await copyFile(path, alias, constants.COPYFILE_FICLONE);
  }
}

function provenSound(connection: Connection): Proof {
  const { damage, violations, unchecked } = withFileMapped(connection, () =>
    integrityOf(connection, "integrity_check"),
  );
  const message =
    [
      ...damage,
      ...violations.map((line) => `data against the schema: ${line}`),
      ...unchecked.map((line) => `not checked: ${line}`),
    ].join("; ") || "ok";
  return { name: "integrity_check", ok: damage.length === 0, message };
}

/**
 * Rows whose parent is missing are told and fail nothing: SQLite enforces foreign keys only where the
 * app asks for it, so they are data of the source and no damage of the copy. A product that wants
 * none says so in a check of its own.
 */
function provenReferences(connection: Connection): Proof[] {
  const name = "foreign_key_check";
  try {
    const found = connection.prepare("SELECT count(*) FROM pragma_foreign_key_check").pluck().get();
    const count = Number(found);
    const message = count === 0 ? "ok" : `${count} rows refer to a parent that is not there`;
    return [{ name, ok: true, message }];
  } catch (thrown) {
    return [{ name, ok: true, message: `cannot be checked: ${reasonOf(thrown)}` }];
  }
}

function read(connection: Connection, sql: string): readonly (readonly unknown[])[] {
  try {
    const statement = connection.prepare(sql);
    if (!statement.reader) throw new Error("it gives no rows");
    const rows = statement.safeIntegers().raw().all() as unknown[][];
    return rows.map((row) => row.map(plain));
  } catch (thrown) {
    throw new LifeboatError({
      code: "QUERY_FAILED",
      message: `the copy cannot answer ${JSON.stringify(sql)}: ${reasonOf(thrown)}`,
      remedy: "a check is one statement that reads: try it with sqlite3 on the database",
      cause: thrown,
    });
  }
}

/** Integers come as numbers while they fit, beyond that as bigint. */
function plain(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function otherDatabase(database: string): LifeboatError {
  return new LifeboatError({
    code: "DATABASE_UNKNOWN",
    kind: "usage",
    message: `the restored copy is not the database ${database}`,
    remedy: "name a database of the configuration, as it stands there",
  });
}
