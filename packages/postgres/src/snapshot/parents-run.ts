import type { DatabaseFolder, Finding, Manifest } from "@lifeboat/core";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { postgresDetails } from "../details.ts";
import { describeServer } from "../facts/server-facts.ts";
import { formatLsn, lsnOf } from "../wal/lsn.ts";
import { assertTakesIncrements } from "./parent.ts";
import { hasEndOf } from "./parents-end.ts";

/**
 * What keeps an incremental backup from building on `parent`: that the server's own past cannot be shown to hold it. A server
 * that was put back to an older state and wrote on takes that backup's manifest without a word, once it has written past its end; so does a
 * standby that took over before it. What they send is what changed in a past of theirs, and with the parent makes a state
 * that never was. But neither happens to one that runs; and one that still has the WAL in which the parent ended shows its past by that.
 * @throws LifeboatError `INCREMENTAL_UNSUPPORTED`, `WAL_SUMMARIES_OFF` (kind `usage`); what connecting threw
 */
export async function obstacleOfPast(
  connection: ServerConnection,
  folder: DatabaseFolder,
  parent: Manifest,
): Promise<Finding | null> {
  return withClient(connection, async (client) => {
    const server = await describeServer(client);
    // The preflight refuses a standby.
    if (server.inRecovery) return null;
    await assertTakesIncrements(client, server);
    const details = postgresDetails(parent);
    const { serverStartedAt, stopLsn } = details;
    const { rows } = await client.query<{ lsn: string }>(
      "select pg_current_wal_lsn()::text as lsn",
    );
    const position = lsnOf(rows[0]?.lsn ?? "");
    if (position < lsnOf(stopLsn))
      return {
        ...becameFull(
          `the server stands at ${formatLsn(position)}, before ${stopLsn}, where ${parent.id} ended: it was put back to an older state, or took over without the last of its predecessor's WAL`,
        ),
        severity: "warning",
        remedy:
          "find out what happened: what was committed in between may be only in the repository (lifeboat list); the next --type incremental builds on this backup",
      };
    if (serverStartedAt === server.startedAt) return null;
    if (await hasEndOf({ serverConnection: connection, client }, folder, details)) return null;
    return becameFull(
      serverStartedAt === undefined
        ? `${parent.id} does not tell in which run of the server it was taken`
        : `the server was started anew at ${server.startedAt}, after ${parent.id} was taken, and whether it was put back to an older state then, or took over from another one, it does not tell`,
    );
  });
}

function becameFull(why: string): Finding {
  return {
    id: "incremental-became-full",
    severity: "info",
    summary: `this backup is full, since nothing could be built on the newest one: ${why}`,
    remedy:
      "the next --type incremental builds on this one; a server that keeps the WAL of the last backup goes on with incremental ones after a restart or failover: alter system set wal_keep_size to more than it writes between two backups",
  };
}
