import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import { assertPhase } from "../target/assert-phase.ts";
import { breakable } from "../target/break-connection.ts";
import { advance, claim, currentMigration, type JournalEntry, unclaim } from "../target/journal.ts";
import { holderOf, takeTargetLockOver } from "../target/lock.ts";
import { type StoodInFor, standIn } from "../target/stand-in.ts";
import { assertFrozenBy } from "./assert-frozen-by.ts";
import type { FrozenFile } from "./frozen-file.ts";
import { claimLeft } from "./rollback-failures.ts";

/**
 * Says in the journal that a rollback is at work, so that a sync that runs lets go; then takes the lock.
 * @returns the migration as it stands then
 * @throws LifeboatError `NOT_CUT_OVER` (not-found), `SQLITE_REPLACED` (refused), `LOCKED`, `ROLLBACK_HALF_DONE` where it was stopped, and
 * can't say in the journal that it is none
 */
export async function claimRollback(
  client: Client,
  file: FrozenFile,
  {
    postgres: address,
    schema,
    signal,
  }: Pick<MigrationRequest, "schema" | "signal"> & { readonly postgres: TargetAddress },
): Promise<JournalEntry> {
  const found = await breakable(client, signal, () => currentMigration(client));
  const entry = assertRollable(found, schema);
  if (entry.phase !== "rolled-back") assertFrozenBy(file.db, entry.id);
  // Until the answer has come it may have been so.
  const claimed = { mayHave: entry.phase === "cut-over" };
  try {
    return await breakable(client, signal, async () => {
      claimed.mayHave = await advance(client, entry.id, "cut-over", "rolling-back");
      await takeTargetLockOver(client);
      await claim(client, entry.id, ["cut-over", "rolling-back"]);
      // Another run may have ended it, or given it back, while this one waited for the lock. How far one came that was killed, SQLite tells.
      await advance(client, entry.id, "cut-over", "rolling-back");
      return assertRollable(await currentMigration(client), schema);
    });
  } catch (cause) {
    if (claimed.mayHave) await giveUp({ client, address, signal }, file, entry.id, cause);
    throw cause;
  }
}

/** Nothing was begun yet, unless by a run before. */
async function giveUp(
  run: StoodInFor,
  file: FrozenFile,
  id: string,
  cause: unknown,
): Promise<void> {
  try {
    await standIn(run, async (client) => {
      if (!file.refusesWrites()) return;
      await unclaim(client, id, { from: "rolling-back", to: "cut-over", holder: holderOf(cause) });
    });
  } catch (failure) {
    // Then another run is at work, and the journal is its own.
    if (failure instanceof LifeboatError && failure.code === "LOCKED") return;
    throw claimLeft(cause, failure);
  }
}

function assertRollable(entry: JournalEntry | null, schema: string | undefined): JournalEntry {
  return assertPhase(entry, schema, ["cut-over", "rolling-back", "rolled-back"], {
    code: "NOT_CUT_OVER",
    there: "there is nothing to take back",
    none: "nothing was cut over to this Postgres",
    remedy: "lifeboat migrate status says what comes next",
  });
}
