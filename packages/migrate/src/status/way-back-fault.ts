import { type Finding, LifeboatError, reasonOf } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { Client } from "pg";
import { refusesWrites } from "../freeze.ts";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import { assertFollowable, unfollowable } from "../reverse/assert-followable.ts";
import { assertFrozenBy } from "../reverse/assert-frozen-by.ts";
import { ChangeReader } from "../reverse/change-reader.ts";
import { FILE_REMEDIES, notFrozen } from "../reverse/frozen-file.ts";
import { FrozenSnapshots } from "../reverse/frozen-snapshots.ts";
import { assertOneServer } from "../reverse/known-look.ts";
import { openSqlite } from "../sqlite/open-sqlite.ts";
import { askTarget } from "../target/ask-target.ts";
import { currentMigration, type JournalEntry, standingOf } from "../target/journal.ts";
import { serverError } from "../target/target-error.ts";
import { isRunning } from "./target-side.ts";

const BUSY_MS = 2_000;

const FAULTS = new Set([
  "SQLITE_BUSY",
  "NOT_FOLLOWABLE",
  "POSTGRES_SET_BACK",
  "SQLITE_NOT_FOUND",
  "SQLITE_NOT_FROZEN",
  "SQLITE_REPLACED",
  "SQLITE_UNREADABLE",
]);

export interface WayBackRequest extends Pick<MigrationRequest, "sqlite" | "schema" | "signal"> {
  readonly postgres: TargetAddress;
}

/**
 * Why a product that was cut over could not be taken back to SQLite: what a sync or a rollback would be refused by. Reads both sides, rows of
 * none, and changes nothing.
 * @returns null where nothing is in the way, or nothing is cut over
 * @throws LifeboatError where Postgres can't be asked
 */
export async function wayBackFault(request: WayBackRequest): Promise<LifeboatError | null> {
  const { postgres, schema, signal } = request;
  try {
    return await askTarget(postgres, signal, async (client) => {
      const entry = await currentMigration(client);
      const isHere = entry && (schema === undefined || schema === entry.plan.schema);
      if (!isHere || entry.phase !== "cut-over") return null;
      return wayBackFaultOf(client, entry, request.sqlite.path);
    });
  } catch (cause) {
    throw serverError(cause);
  }
}

/** The same of a migration that is cut over, by a connection in no transaction. */
export async function wayBackFaultOf(
  client: Client,
  { id, plan }: JournalEntry,
  path: string,
): Promise<LifeboatError | null> {
  const opening = { readonly: true, busyMs: BUSY_MS, remedies: FILE_REMEDIES };
  try {
    const db = openSqlite(path, opening, (opened) => {
      assertFrozenBy(opened, id);
      if (!refusesWrites(opened)) throw notFrozen();
      return opened;
    });
    try {
      const snapshots = new FrozenSnapshots(db, client, id);
      await snapshots.hold([], async ({ followed }) => {
        const reader = await ChangeReader.within(client, plan, followed.snapshot);
        await assertOneServer(reader, followed);
        assertFollowable(await unfollowable(client, plan));
      });
      return null;
    } finally {
      db.close();
    }
  } catch (cause) {
    const fault = cause instanceof SqliteError ? unreadable(path, cause) : cause;
    if (!(fault instanceof LifeboatError)) throw fault;
    // A rollback or finish has begun just now, and is at work on the file.
    if ((await standingOf(client, id))?.phase !== "cut-over") return null;
    // In rollback-journal mode a sync keeps readers out while it writes a large batch.
    if (isBusy(fault.cause) && (await isRunning(client))) return null;
    if (FAULTS.has(fault.code)) return fault;
    throw fault;
  }
}

/** A fault as it is told. Of a file that this account can't read nobody knows whether it is whole. */
export function wayBackLost({ code, message, remedy }: LifeboatError): Finding {
  const what =
    code === "SQLITE_UNREADABLE" || code === "SQLITE_BUSY"
      ? "whether there is a way back to SQLite is not known"
      : "there is no way back to SQLite";
  return {
    id: "way-back-lost",
    // What came to Postgres can be taken back there, and until then is kept.
    severity: code === "NOT_FOLLOWABLE" ? "warning" : "error",
    summary: `${what}: ${message}`,
    remedy,
  };
}

function isBusy(cause: unknown): boolean {
  return cause instanceof SqliteError && cause.code.startsWith("SQLITE_BUSY");
}

function unreadable(path: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "SQLITE_UNREADABLE",
    message: `the SQLite database ${path} can't be read: ${reasonOf(cause)}`,
    remedy: FILE_REMEDIES.unreadable,
    details: { path },
    cause,
  });
}
