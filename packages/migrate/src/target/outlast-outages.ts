import { OutageLog, type Report, reasonOf } from "@lifeboat/core";
import type { Client } from "pg";
import { isAway, type TargetLink } from "./target-link.ts";

/** What is told once an outage. */
const AWAY = "Postgres is away; connecting again until it answers, nothing is lost";

/** What a sync writes into a log of what keeps it from its work: once as it begins, seldom from then on, and once as it is over. */
export function syncOutages(log: ((line: string) => void) | undefined): OutageLog {
  const words = { stopped: "nothing is brought over", again: "at work again" };
  return new OutageLog("sync", log ?? (() => undefined), Date.now, words);
}

export interface Outlasting {
  readonly signal: AbortSignal;
  readonly report: Report;
  readonly outages: OutageLog;
}

/**
 * Does work that goes on until it is stopped, and begins it anew on another connection where the server went away.
 * @param work begins from what the target holds: what its connection broke off may have been committed or not
 * @throws whatever else the work throws
 */
export async function outlastOutages(
  link: TargetLink,
  { signal, report, outages }: Outlasting,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const failing = (cause: unknown) =>
    outages.failing({
      reason: reasonOf(cause),
      meanwhile: "connecting again until it answers, nothing is lost",
    });
  for (;;) {
    try {
      return await work(link.client);
    } catch (cause) {
      if (!isAway(cause)) throw cause;
      report({ note: AWAY });
      failing(cause);
      if (!(await link.again(signal, failing))) return;
      report({ note: "Postgres answers again" });
      outages.working();
    }
  }
}
