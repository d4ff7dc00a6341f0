import { setTimeout as delay } from "node:timers/promises";
import { LifeboatError, type Report } from "@lifeboat/core";
import pg from "pg";
import { grantMissing } from "../basebackup/parallel/backup-mode.ts";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { describeServer, type ServerFacts } from "../facts/server-facts.ts";

/** Where the files of a base backup are read: the primary itself, or a standby of it. */
export interface BackupSource {
  readonly connection: ServerConnection;
  readonly server: ServerFacts;
}

const POLL_MS = 100;
/** How long a standby may stand still on its way. */
const PATIENCE_MS = 60_000;
const REPLAYED_QUERY =
  "select pg_last_wal_replay_lsn()::text as replayed, pg_last_wal_replay_lsn() >= $1::pg_lsn as there";

/**
 * The server that `postgres.backupFrom` names, proved to be a standby of the primary; else the primary.
 * @throws LifeboatError `BACKUP_FROM_FOREIGN`, `BACKUP_FROM_NO_STANDBY` (kind `usage`); what connecting threw
 */
export async function backupSource(
  connection: ServerConnection,
  primary: ServerFacts,
): Promise<BackupSource> {
  const { backupFrom, dataDirectory: _, ...rest } = connection;
  if (backupFrom === undefined) return { connection, server: primary };
  const standby: ServerConnection = { ...rest, url: backupFrom };
  const server = await withClient(standby, describeServer);
  if (server.systemIdentifier !== primary.systemIdentifier)
    throw foreign(server.systemIdentifier, primary.systemIdentifier);
  if (!server.inRecovery) throw noStandby();
  return { connection: standby, server };
}

/**
 * Waits until the standby has replayed all that the primary has written up to now. Where the WAL of the
 * backup is streamed from now on, the primary makes a checkpoint first: a standby's backup begins at the
 * last one that it replayed, which must not lie before what is streamed.
 * @throws LifeboatError `STANDBY_BEHIND`, `BACKUP_GRANT_MISSING`
 */
export async function awaitStandby(wait: {
  readonly primary: pg.Client;
  readonly source: BackupSource;
  readonly streams: boolean;
  readonly report: Report;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { primary, signal, report } = wait;
  if (wait.streams) await allowed(primary, "checkpoint");
  const { rows } = await primary.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn");
  const target = rows[0]?.lsn ?? "";
  await withClient(wait.source.connection, async (standby) => {
    let before = "";
    let patience = Date.now() + PATIENCE_MS;
    for (;;) {
      const answer = await standby.query<{ replayed: string; there: boolean }>(REPLAYED_QUERY, [
        target,
      ]);
      const { replayed, there } = answer.rows[0] ?? { replayed: "", there: false };
      if (there) return;
      if (replayed !== before) patience = Date.now() + PATIENCE_MS;
      if (Date.now() > patience) throw behind(replayed, target);
      before = replayed;
      report({ note: `waiting for the standby: it has replayed ${replayed} of ${target}` });
      await delay(POLL_MS, undefined, { signal });
    }
  });
}

/**
 * A standby cannot end the segment in which its backup ends: the primary does.
 * @throws LifeboatError `BACKUP_GRANT_MISSING`
 */
export async function endSegment(primary: pg.Client): Promise<void> {
  await allowed(primary, "select pg_switch_wal()");
}

async function allowed(client: pg.Client, statement: string): Promise<void> {
  try {
    await client.query(statement);
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError) || cause.code !== "42501") throw cause;
    const role = `"${(client.user ?? "").replaceAll('"', '""')}"`;
    const granting =
      statement === "checkpoint"
        ? `grant pg_checkpoint to ${role}`
        : `grant execute on function pg_switch_wal() to ${role}`;
    throw grantMissing(cause, { user: client.user ?? "", granting });
  }
}

function foreign(found: string, expected: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_FROM_FOREIGN",
    kind: "usage",
    message: `postgres.backupFrom is the cluster ${found}, and postgres.url is ${expected}`,
    remedy: "name a standby of the server in postgres.url, or leave backupFrom out",
    details: { found, expected },
  });
}

function noStandby(): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_FROM_NO_STANDBY",
    kind: "usage",
    message: "the server in postgres.backupFrom is no standby (any more)",
    remedy:
      "after a failover name the new primary in postgres.url, and a standby of it in backupFrom",
  });
}

function behind(replayed: string, target: string): LifeboatError {
  return new LifeboatError({
    code: "STANDBY_BEHIND",
    message: `the standby in postgres.backupFrom stands at ${replayed} and does not come to ${target}`,
    remedy:
      "see its log (a missing WAL segment, a paused recovery); without backupFrom the primary is backed up",
    details: { replayed, target },
  });
}
