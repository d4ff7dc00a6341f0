import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { endConnection } from "./break-connection.ts";

/** A pooler that takes turns may give the same session by chance. */
const LOOKS = 5;

/**
 * Sees that the connection has a session of the server for itself. A pooler that gives each transaction another one (PgBouncer's
 * `pool_mode = transaction`) would leave the migration's lock on a session of the product, hand its settings to the product, which then passes
 * our refusals, and let a transaction of ours run without them, so that the server cascades what SQLite has cascaded already.
 * @param connect another connection to the same address, asked only where a pooler is in between
 * @throws LifeboatError `POOLED_CONNECTION` (usage)
 */
export async function assertOwnSession(
  client: Client,
  connect: () => Promise<Client>,
): Promise<void> {
  const first = await sessionOf(client);
  // The number that the server gave as it let us in; a pooler makes up its own.
  if (first === (client as Client & { readonly processID: number | null }).processID) return;
  const other = await connect();
  try {
    for (let look = 0; look < LOOKS; look++) {
      const theirs = await sessionOf(other);
      const ours = await sessionOf(client);
      if (theirs === ours || ours !== first) throw pooled();
    }
  } finally {
    await endConnection(other);
  }
}

async function sessionOf(client: Client): Promise<number | undefined> {
  // The session's settings are not ours yet: on its search_path somebody may have a function of this name.
  const { rows } = await client.query<{ pid: number }>("SELECT pg_catalog.pg_backend_pid() AS pid");
  return rows[0]?.pid;
}

function pooled(): LifeboatError {
  return new LifeboatError({
    code: "POOLED_CONNECTION",
    kind: "usage",
    message:
      "postgres.url leads through a pooler that gives each transaction another session of the server (PgBouncer's pool_mode = transaction)",
    remedy:
      "name the server itself in postgres.url (its own port is usually 5432), or a pool with pool_mode = session: a migration needs locks and settings of its own session. Nothing was touched",
  });
}
