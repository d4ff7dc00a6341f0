import type { DatabaseFolder } from "@lifeboat/core";
import type pg from "pg";
import { historyName, logName } from "./segment-name.ts";
import { parseTimelineHistory } from "./timeline-history.ts";

/**
 * Stores a timeline's history, as a server that streams sends it: without it no recovery finds the
 * way onto that timeline. One that is there has to be the same: two copies that were promoted apart have timelines of one number,
 * and the WAL of the one leads nowhere by the history of the other.
 * @param client a WAL sender
 * @throws LifeboatError `LOG_OBJECT_DIFFERS`; what the server answers where it has none
 */
export async function storeHistory(
  client: pg.Client,
  folder: DatabaseFolder,
  timeline: number,
): Promise<void> {
  const name = logName(historyName(timeline));
  if (timeline === 1) return;
  const { rows } = await client.query<{ content: string }>({
    text: `TIMELINE_HISTORY ${timeline}`,
    // Older servers call it bytea, and send it as it is all the same.
    types: { getTypeParser: () => String },
  });
  const content = rows[0]?.content ?? "";
  parseTimelineHistory(content, timeline, `the server's ${historyName(timeline)}`);
  await folder.storeLog(name, async function* () {
    yield Buffer.from(content);
  });
}
