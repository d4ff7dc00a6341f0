import { LifeboatError } from "@lifeboat/core";
import pg from "pg";
import { connect, hangUp, type ServerConnection } from "../../connection/connection.ts";
import { type Lsn, lsnOf } from "../../wal/lsn.ts";
import { oneLine } from "../base-backup-command.ts";

/** What the server says when it leaves backup mode. */
export interface BackupEnd {
  readonly stopLsn: Lsn;
  readonly timeline: number;
  /** Content of `backup_label`, and of `tablespace_map`. */
  readonly label: string;
  readonly tablespaceMap: string;
}

/**
 * Backup mode of the low-level API (the manual, "Making a Base Backup Using the Low Level API"), held by
 * one session: when that ends, for whatever reason, the server leaves it.
 */
export class BackupMode {
  readonly client: pg.Client;
  readonly startLsn: Lsn;

  private constructor(client: pg.Client, startLsn: Lsn) {
    this.client = client;
    this.startLsn = startLsn;
  }

  /** @throws LifeboatError `BACKUP_GRANT_MISSING`; what connecting threw */
  static async enter(
    connection: ServerConnection,
    { label, signal }: { label: string; signal: AbortSignal },
  ): Promise<BackupMode> {
    const client = await connect(connection);
    const stop = () => hangUp(client);
    signal.addEventListener("abort", stop, { once: true });
    try {
      const { rows } = await client.query<{ lsn: string }>(
        "select pg_backup_start($1, true)::text as lsn",
        [oneLine(label)],
      );
      return new BackupMode(client, lsnOf(rows[0]?.lsn ?? ""));
    } catch (cause) {
      hangUp(client);
      signal.throwIfAborted();
      throw refused(cause, client) ?? cause;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** The server switches WAL segments here, so that the last one gets archived or streamed whole. */
  async leave(): Promise<BackupEnd> {
    const { rows } = await this.client.query<{ lsn: string; label: string; map: string }>(
      "select lsn::text, labelfile as label, spcmapfile as map from pg_backup_stop(false)",
    );
    const [row] = rows;
    const timeline = Number(/^START TIMELINE: (\d+)$/m.exec(row?.label ?? "")?.[1]);
    if (!row || !Number.isSafeInteger(timeline))
      throw new Error("pg_backup_stop gave no backup label");
    const stopLsn = lsnOf(row.lsn);
    return { stopLsn, timeline, label: row.label, tablespaceMap: row.map };
  }

  /** Without {@link leave} before, the backup is given up. */
  close(): void {
    hangUp(this.client);
  }
}

function refused(cause: unknown, client: pg.Client): LifeboatError | undefined {
  if (!(cause instanceof pg.DatabaseError) || cause.code !== "42501") return undefined;
  const user = client.user ?? "";
  const functions = "pg_backup_start(text, boolean), pg_backup_stop(boolean)";
  const role = `"${user.replaceAll('"', '""')}"`;
  const granting = `grant execute on function ${functions} to ${role}; or take --transport wire`;
  return grantMissing(cause, { user, granting });
}

/** What only superusers may do until they allow it to others. */
export function grantMissing(
  cause: pg.DatabaseError,
  { user, granting }: { readonly user: string; readonly granting: string },
): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_GRANT_MISSING",
    message: `role ${user} may not do what this backup takes: ${cause.message}`,
    remedy: `as a superuser, in the database of postgres.url: ${granting}; lifeboat doctor --sql prints all that a role needs`,
    cause,
  });
}
