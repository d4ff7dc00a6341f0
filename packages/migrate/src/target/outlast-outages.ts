import type { Report } from "@lifeboat/core";
import type { Client } from "pg";
import { isAway, type TargetLink } from "./target-link.ts";

/** What is told once an outage. */
const AWAY = "Postgres is away; connecting again until it answers, nothing is lost";

/**
 * Does work that goes on until it is stopped, and begins it anew on another connection where the server went away.
 * @param work begins from what the target holds: what its connection broke off may have been committed or not
 * @throws whatever else the work throws
 */
export async function outlastOutages(
  link: TargetLink,
  { signal, report }: { readonly signal: AbortSignal; readonly report: Report },
  work: (client: Client) => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      return await work(link.client);
    } catch (cause) {
      if (!isAway(cause)) throw cause;
      report({ note: AWAY });
      if (!(await link.again(signal))) return;
    }
  }
}
