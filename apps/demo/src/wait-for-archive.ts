import { setTimeout as delay } from "node:timers/promises";
import type { DemoServer } from "./demo-server.ts";
import { openDatabase } from "./open-database.ts";
import type { Show } from "./show.ts";

const BOUND_MS = 30_000;

/**
 * Closes the WAL segment that is being written, and waits until the server has archived it.
 * @returns the segment's name
 * @throws Error when that takes more than half a minute
 */
export async function archivedUpToNow(show: Show, server: DemoServer): Promise<string> {
  const session = await openDatabase(server);
  try {
    const [row] = await session.all("SELECT pg_walfile_name(pg_switch_wal()) AS segment");
    const segment = String(row?.segment);
    const start = performance.now();
    while (performance.now() - start < BOUND_MS) {
      const [state] = await session.all(
        "SELECT last_archived_wal >= ? AS done FROM pg_stat_archiver",
        segment,
      );
      if (state?.done) return segment;
      await delay(50, undefined, { signal: show.signal });
    }
    throw new Error(`the server has not archived ${segment} in ${BOUND_MS / 1_000} s`);
  } finally {
    await session.close();
  }
}
