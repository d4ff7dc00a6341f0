import { setTimeout as sleep } from "node:timers/promises";
import { OutageLog, type Report, reasonOf } from "@lifeboat/core";
import type { FollowRequest } from "@lifeboat/migrate";
import type { Session } from "./session.ts";

/** Between two rounds. Short rounds, so that a rollback or a finish finds the migration's lock free. */
const PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;
const WORDS = {
  stopped: "SQLite is not kept behind Postgres",
  again: "SQLite is kept behind Postgres again",
};
/** No trouble: nothing was cut over, or a migrate verb is at work. */
const EXPECTED = ["NOT_CUT_OVER", "LOCKED"];

/**
 * What a watch does beside shipping after a cutover: keeps the frozen SQLite file close behind Postgres, so that a rollback
 * takes milliseconds. A failure never ends the watch: Postgres keeps its changes, and it is tried again.
 * @returns null where the configuration has not both databases, or several of SQLite
 */
export async function wayBackKeeper(
  session: Session,
  log: (line: string) => void,
): Promise<((report: Report, signal: AbortSignal) => Promise<void>) | null> {
  const { postgres, sqlite } = await session.configuration();
  const [source, another] = sqlite;
  if (!postgres || !source || another) return null;
  const { configuredMigration } = await import("./migration-request.ts");
  const request = { ...(await configuredMigration(session)), postgres: { url: postgres.url } };
  return async (report, signal) => {
    let pause = PAUSE_MS;
    const outages = new OutageLog("way back", log, Date.now, WORDS);
    while (!signal.aborted) {
      const trouble = await round({ ...request, signal }, report);
      pause = trouble === null ? PAUSE_MS : Math.min(2 * pause, MAX_PAUSE_MS);
      if (trouble === null) outages.working();
      else
        outages.failing({ reason: trouble, meanwhile: "Postgres keeps its changes; trying again" });
      await sleep(pause, undefined, { signal }).catch(() => {
        // Stopped: the loop's own question ends it.
      });
    }
  };
}

/** @returns what is in the way; null where nothing is, or nothing was cut over */
async function round(request: FollowRequest, report: Report): Promise<string | null> {
  const { followReverse } = await import("@lifeboat/migrate");
  try {
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
    const { code } = cause as { code?: string };
    return request.signal.aborted || EXPECTED.includes(code ?? "") ? null : reasonOf(cause);
  }
}
