import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { bringForeignKeysBack } from "../forward/foreign-keys.ts";
import { allowWrites, type Refusal, refusalOf } from "../freeze.ts";
import type { LiveSource } from "../live-source.ts";
import { installReverseCapture, removeReverseCaptureBeside } from "../reverse/capture.ts";
import { countChanges } from "../reverse/change-reader.ts";
import { followPatiently } from "../reverse/follow-patiently.ts";
import { FROM_THE_START } from "../reverse/followed.ts";
import { FrozenFile } from "../reverse/frozen-file.ts";
import { refuseTargetWrites } from "../reverse/refuse-target-writes.ts";
import { FOLLOWED_TABLE } from "../sqlite/own-objects.ts";
import { isBroken } from "../target/break-connection.ts";
import { advance, currentMigration, type JournalEntry, note } from "../target/journal.ts";
import { type StoodInFor, standIn } from "../target/stand-in.ts";
import { isTakenOver, takenOver } from "../target/taken-over.ts";

/** Writers of Postgres that a switch half done has brought there may take so long to end. */
const PATIENCE_SECONDS = 5;

/** Where the product is given back from. */
export interface CutoverLeft extends StoodInFor {
  readonly source: LiveSource;
  readonly entry: JournalEntry;
}

/**
 * Gives the product back to SQLite after a cutover that failed: what it may have written to Postgres already is brought
 * over, and refused there until the next switch, since it would be lost; SQLite takes writes, the capture goes on, and the migration is `loaded` again. On a connection of its own: the
 * other may be what broke. May be called at any point, and again.
 * @throws LifeboatError those of `standIn`, `TAKEN_OVER`; SQLite takes writes by then unless the product may be in Postgres, or
 * another run is at work
 */
export async function giveBack(left: CutoverLeft): Promise<void> {
  const { source, entry } = left;
  if (source.db.inTransaction) source.db.exec("ROLLBACK");
  const refusal = refusalOf(source.db);
  const isForGood = refusal?.until === null;
  let isRefused = refusal !== null;
  const allow = () => {
    if (refusal !== null && isRefused) allowAgain(source, refusal);
    isRefused = false;
  };
  try {
    await standIn(left, async (client) => {
      const now = await currentMigration(client);
      if (now?.id !== entry.id || !["loaded", "cutting-over"].includes(now.phase))
        throw takenOver();
      // Where its refusals still end by themselves the switch was not called, whatever the journal says.
      const isBack = now.details.switching === true && (refusal === null || isForGood);
      if (isForGood && isBack) await bringBack(source, client, entry);
      allow();
      await settle(client, entry, isBack);
      if (now.details.foreignKeysAside === true) await foreignKeysBack(client, entry, left.signal);
    });
  } catch (cause) {
    // Before the switch nobody wrote to Postgres, so SQLite need not wait for it; what another run does is its own.
    if (!isOthers(cause) && !(isForGood && entry.details.switching === true)) allow();
    throw cause;
  }
}

/** Whether another run is at work. */
function isOthers(cause: unknown): boolean {
  return isTakenOver(cause) || (cause instanceof LifeboatError && cause.code === "LOCKED");
}

async function settle(client: Client, { id, plan }: JournalEntry, isBack: boolean): Promise<void> {
  await advance(client, id, "cutting-over", "loaded", {
    switching: false,
    switched: false,
    ...(isBack && { targetRefused: true }),
  });
  await removeReverseCaptureBeside(client, plan);
}

/**
 * Where rows break one, or a stop comes before all are looked at, all stay aside until the next sync, which says so: the cutover's own
 * end is the one to tell.
 */
async function foreignKeysBack(
  client: Client,
  { id, plan }: JournalEntry,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.query("BEGIN");
    await bringForeignKeysBack(client, plan);
    await note(client, id, ["loaded"], { foreignKeysAside: false });
    await client.query("COMMIT");
  } catch (cause) {
    if (signal.aborted && isBroken(client)) return;
    await client.query("ROLLBACK");
    if (!(cause instanceof LifeboatError) || cause.code !== "TARGET_REFUSED") throw cause;
  }
}

/** What was written to Postgres since the switch began. Nobody writes there any more once it is refused. */
async function bringBack(
  source: LiveSource,
  client: Client,
  { plan }: JournalEntry,
): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_SECONDS * 2000);
  await installReverseCapture(client, plan);
  await refuseTargetWrites({ client, plan, patienceSeconds: PATIENCE_SECONDS, signal });
  if ((await countChanges(client, FROM_THE_START)) === 0) return;
  const file = FrozenFile.open(source.path);
  try {
    await followPatiently({ client, file, plan, signal }, PATIENCE_SECONDS);
  } finally {
    file.close();
  }
}

/**
 * Nothing of the schema is noted here: what following made in the file is gone again, and what the product has changed in it since must
 * be found by the next look. That takes following's own changes for a VACUUM and brings tables without a key anew, which they need: rows that it
 * brought have rowids here that Postgres does not know.
 */
function allowAgain(source: LiveSource, { until }: Refusal): void {
  source.write(() => {
    // Another run may have put its own in force meanwhile.
    if (refusalOf(source.db)?.until !== until) throw takenOver();
    source.db.exec(`DROP TABLE IF EXISTS ${FOLLOWED_TABLE}`);
    allowWrites(source.db);
  });
}
