import { LifeboatError, type SnapshotOptions, type SnapshotRequest } from "@lifeboat/core";
import type pg from "pg";
import { parallelTransport } from "../basebackup/parallel.ts";
import { pgBasebackupTransport } from "../basebackup/pg-basebackup.ts";
import type { Transport } from "../basebackup/transport.ts";
import { wireTransport } from "../basebackup/wire.ts";
import type { WalSource } from "../details.ts";
import { readArchiver } from "../facts/archiver.ts";
import { isInPlace, type ServerFacts } from "../facts/server-facts.ts";
import { isWithoutArchiver } from "../preflight/configuration.ts";
import { archiverFindings, SENDERS_OF_STREAM, senderHolders } from "../preflight/live.ts";
import { logName, parseWalFileName } from "../wal/segment-name.ts";

/**
 * Refuses what does not go together, or means nothing for a cluster, before anything is touched.
 * @throws LifeboatError `TRANSPORT_UNFIT`, `OPTION_NOT_FOR_POSTGRES` (kind `usage`)
 */
export function refuseContradictions(options: SnapshotOptions): void {
  const { transport = "auto", jobs = 1 } = options;
  if (jobs > 1 && transport !== "auto" && transport !== "parallel")
    throw new LifeboatError({
      code: "TRANSPORT_UNFIT",
      kind: "usage",
      message: `--transport ${transport} comes in one stream, and --jobs ${jobs} asks for several`,
      remedy: "take --transport parallel, or leave --jobs out",
    });
  if (options.check)
    throw new LifeboatError({
      code: "OPTION_NOT_FOR_POSTGRES",
      kind: "usage",
      message: "--check means nothing for a Postgres cluster",
      remedy: "leave it out; lifeboat drill restores the backup and reads every table",
    });
}

/** Workers of the parallel transport: two where nothing is said. */
export function jobsOf({ options }: SnapshotRequest): number {
  return options.jobs ?? 2;
}

/**
 * Where the WAL of the backup shall come from. As asked; else from the archive when the server's
 * archiver works and what it archived last is in this repository, else from a stream of our own.
 * @throws LifeboatError `ARCHIVE_OFF`, `SENDERS_EXHAUSTED`
 */
export async function chooseWalSource(
  client: pg.Client,
  server: ServerFacts,
  { options, folder }: SnapshotRequest,
): Promise<WalSource> {
  if (options.wal === "archive" && (!server.archiving || isWithoutArchiver(server)))
    throw new LifeboatError({
      code: "ARCHIVE_OFF",
      kind: "usage",
      message: `--wal archive waits for archive_command, and ${server.archiving ? "there is none" : "archive_mode is off"}`,
      remedy: "take --wal stream, or set archive_mode and archive_command",
    });
  const wal = options.wal ?? ((await archives(client, server, folder)) ? "archive" : "stream");
  if (wal === "stream") await assertSendersFree(client, server);
  return wal;
}

async function archives(
  client: pg.Client,
  server: ServerFacts,
  folder: SnapshotRequest["folder"],
): Promise<boolean> {
  if (!server.archiving || isWithoutArchiver(server)) return false;
  if ((await archiverFindings(client, server)).length > 0) return false;
  const { lastArchivedWal } = await readArchiver(client);
  if (lastArchivedWal === null || !parseWalFileName(lastArchivedWal)) return false;
  return (await folder.statLog(logName(lastArchivedWal))) !== undefined;
}

async function assertSendersFree(client: pg.Client, server: ServerFacts): Promise<void> {
  const holders = await senderHolders(client);
  const free = server.maxWalSenders - holders.length;
  if (free >= SENDERS_OF_STREAM) return;
  const held = holders.length === 0 ? "" : `, held by ${holders.join(", ")}`;
  throw new LifeboatError({
    code: "SENDERS_EXHAUSTED",
    message: `a backup that streams its WAL needs ${SENDERS_OF_STREAM} WAL senders, and ${free} of ${server.maxWalSenders} are free${held}`,
    remedy:
      "alter system set max_wal_senders = 10, and restart the server; with a working archive_command --wal archive needs only one",
    details: { needed: SENDERS_OF_STREAM, free, maxWalSenders: server.maxWalSenders, holders },
  });
}

/** Whether several workers are asked for, whatever the server is. */
export function asksForSeveral({ transport = "auto", jobs = 1 }: SnapshotOptions): boolean {
  return transport === "parallel" || (transport === "auto" && jobs > 1);
}

/**
 * As asked; several jobs are parallel's; else the wire, which needs no program, takes every cluster, and
 * is faster than pg_basebackup's output read through a pipe (`.github/decisions/0022-…`). But a server of version 15 sends nothing of a tablespace that was
 * made in place, and says nothing of it.
 * @throws LifeboatError `TRANSPORT_UNFIT` (usage), where what was asked for would leave such a one out
 */
export function chooseTransport(options: SnapshotOptions, server: ServerFacts): Transport {
  const { transport = "auto" } = options;
  const leftOut = server.major < 16 ? server.tablespaces.find(isInPlace) : undefined;
  if (asksForSeveral(options) || (transport === "auto" && leftOut)) return parallelTransport;
  if (leftOut)
    throw new LifeboatError({
      code: "TRANSPORT_UNFIT",
      kind: "usage",
      message: `a server of version ${server.major} leaves tablespace ${leftOut.oid}, which was made in place, out of what --transport ${transport} asks it for`,
      remedy: "take --transport parallel",
      details: { transport, tablespace: leftOut.oid },
    });
  return transport === "pg_basebackup" ? pgBasebackupTransport : wireTransport;
}
