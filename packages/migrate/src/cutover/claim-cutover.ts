import { LifeboatError, type Report } from "@lifeboat/core";
import type { Client } from "pg";
import { breakable } from "../target/break-connection.ts";
import { advance, claim, currentMigration, type JournalEntry, unclaim } from "../target/journal.ts";
import { holderOf, takeTargetLockOver } from "../target/lock.ts";
import { type StoodInFor, standIn } from "../target/stand-in.ts";
import { takenOver } from "../target/taken-over.ts";
import { claimLeft } from "./cutover-failures.ts";

/**
 * Says in the journal that a cutover is at work, so that a sync that runs lets go; then takes the lock.
 * @returns the migration as it stands then
 * @throws LifeboatError `LOCKED`, `TAKEN_OVER`, `CUTOVER_HALF_DONE` where it was stopped, and can't say in the journal that it is none
 */
export async function claimCutover(
  run: StoodInFor,
  id: string,
  report: Report,
): Promise<JournalEntry> {
  const { client, signal } = run;
  // Until the answer has come it may have been so.
  const claimed = { mayHave: true };
  try {
    return await breakable(client, signal, async () => {
      claimed.mayHave = await advance(client, id, "loaded", "cutting-over");
      await takeTargetLockOver(client, report);
      await claim(client, id, ["loaded", "cutting-over"]);
      // Another run may have given it back while this one waited for the lock.
      await advance(client, id, "loaded", "cutting-over");
      return await standingNow(client, id);
    });
  } catch (cause) {
    if (claimed.mayHave) await giveUp(run, id, cause);
    throw cause;
  }
}

/** A sync may have gone on until it let go, and another cutover may have ended what it was at. */
async function standingNow(client: Client, id: string): Promise<JournalEntry> {
  const entry = await currentMigration(client);
  if (entry?.id === id && ["cutting-over", "cut-over"].includes(entry.phase)) return entry;
  throw takenOver();
}

/** Nothing was begun yet, unless by a run before. */
async function giveUp(run: StoodInFor, id: string, cause: unknown): Promise<void> {
  try {
    await standIn(run, async (client) => {
      const now = await currentMigration(client);
      if (now?.id !== id || now.details.switching === true) return;
      await unclaim(client, id, { from: "cutting-over", to: "loaded", holder: holderOf(cause) });
    });
  } catch (failure) {
    // Then another run is at work, and the journal is its own.
    if (failure instanceof LifeboatError && failure.code === "LOCKED") return;
    throw claimLeft(cause, failure);
  }
}
