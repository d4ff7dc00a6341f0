import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";

/** Any number that nothing else uses; the same for all of Lifeboat's migrations in one database. */
const LOCK_KEY = "5497853339122026";
/** A load that was killed lets go within seconds of its client's end. */
const PATIENCE = "5s";

/**
 * Keeps two migrations from working on one database; held until the connection ends.
 * @throws LifeboatError `LOCKED` (locked)
 */
export async function takeTargetLock(client: Client): Promise<void> {
  await client.query(`SET lock_timeout = '${PATIENCE}'`);
  try {
    await client.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
  } catch (cause) {
    if ((cause as { code?: string }).code !== "55P03") throw cause;
    throw new LifeboatError({
      code: "LOCKED",
      kind: "locked",
      message: "another migration is at work on the target database",
      remedy: "wait for it to end, or end it, then run this again",
      cause,
    });
  }
  await client.query("SET lock_timeout = 0");
}

/**
 * Takes the lock once it is free, for as long as it is wanted: a connection of ours that broke without the server's notice holds
 * it until the server has noticed.
 * @returns whether it is held, and still wanted
 */
export async function takeTargetLockWhile(
  client: Client,
  signal: AbortSignal,
  isWanted: () => Promise<boolean>,
): Promise<boolean> {
  while (!signal.aborted && (await isWanted())) {
    try {
      await takeTargetLock(client);
      return await isWanted();
    } catch (cause) {
      if (!(cause instanceof LifeboatError) || cause.code !== "LOCKED") throw cause;
    }
  }
  return false;
}
