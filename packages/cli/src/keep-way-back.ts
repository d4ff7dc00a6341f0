import { setTimeout as sleep } from "node:timers/promises";
import { type Report, reasonOf } from "@lifeboat/core";
import type { FollowRequest } from "@lifeboat/migrate";
import type { Session } from "./session.ts";

/** Between two rounds. Short rounds, so that a rollback or a finish finds the migration's lock free. */
const PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

/**
 * What a watch does beside shipping after a cutover: keeps the frozen SQLite file close behind Postgres, so that a rollback
 * takes milliseconds. A failure never ends the watch: Postgres keeps its changes, and it is tried again.
 * @returns null where the configuration has not both databases, or several of SQLite
 */
export async function wayBackKeeper(
  session: Session,
): Promise<((report: Report, signal: AbortSignal) => Promise<void>) | null> {
  const { postgres, sqlite } = await session.configuration();
  const [source, another] = sqlite;
  if (!postgres || !source || another) return null;
  const { migrationRequest } = await import("./migration-request.ts");
  const request = { ...(await migrationRequest(session)), postgres: { url: postgres.url } };
  return async (report, signal) => {
    let pause = PAUSE_MS;
    let said = "";
    while (!signal.aborted) {
      const trouble = await round({ ...request, signal }, report);
      pause = trouble === null ? PAUSE_MS : Math.min(2 * pause, MAX_PAUSE_MS);
      if (trouble !== null && trouble !== said)
        report({ note: `SQLite is not kept behind Postgres: ${trouble}` });
      said = trouble ?? "";
      await sleep(pause, undefined, { signal }).catch(() => {
        // Stopped: the loop's own question ends it.
      });
    }
  };
}

/** @returns what is in the way; null where nothing is, or nothing was cut over */
async function round(request: FollowRequest, report: Report): Promise<string | null> {
  const { followReverse, migrationStatus } = await import("@lifeboat/migrate");
  try {
    if ((await migrationStatus(request)).phase !== "cut-over") return null;
    const { rows } = await followReverse({
      ...request,
      until: "caught-up",
      run: async (steps) => {
        for (const step of steps) await step.run(() => {});
      },
    });
    if (rows > 0) report({ note: `${rows} rows brought back to SQLite` });
    return null;
  } catch (cause) {
    // A migrate verb that is at work is no trouble.
    const { code } = cause as { code?: string };
    return request.signal.aborted || code === "LOCKED" ? null : reasonOf(cause);
  }
}
