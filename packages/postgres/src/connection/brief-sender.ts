import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { connectForReplication, end, type ServerConnection } from "./connection.ts";

const SENDER_QUERY = "select from pg_stat_replication where pid = $1";
const SENDER_END_MS = 5_000;
const SENDER_POLL_MS = 5;

/** What `pg` knows of its connection and its types do not name. */
interface Backend {
  readonly processID: number | null;
}

/**
 * Runs with a WAL sender, which is free again when this resolves: it may be the last one, and the backup that follows
 * needs it.
 * @param client of the same server, for SQL
 */
export async function withBriefSender<T>(
  connection: ServerConnection,
  client: pg.Client,
  run: (sender: pg.Client) => Promise<T>,
): Promise<T> {
  const sender = await connectForReplication(connection);
  const { processID } = sender as pg.Client & Backend;
  try {
    return await run(sender);
  } finally {
    await end(sender);
    await untilGone(client, processID);
  }
}

async function untilGone(client: pg.Client, pid: number | null): Promise<void> {
  const patience = Date.now() + SENDER_END_MS;
  while (Date.now() < patience) {
    const { rows } = await client.query(SENDER_QUERY, [pid]);
    if (rows.length === 0) return;
    await delay(SENDER_POLL_MS);
  }
}
