import { LifeboatError, type Snapshot, type SnapshotRequest } from "@lifeboat/core";
import type pg from "pg";
import type { BaseBackup, Transport } from "./basebackup/transport.ts";
import { type ServerConnection, withClient } from "./connection/connection.ts";
import type { PostgresDetails, WalSource } from "./details.ts";
import { directoryOwner } from "./facts/local-directory.ts";
import { describeServer, type ServerFacts } from "./facts/server-facts.ts";
import type { PackedBytes } from "./packed/bytes.ts";
import { spaceFindings } from "./preflight/space.ts";
import { preflight, refusal } from "./preflight.ts";
import { BackupRate } from "./rate/backup-rate.ts";
import { damageFindings, damageOf } from "./restore/damage.ts";
import { storeExtraPaths } from "./restore/extra-paths.ts";
import {
  awaitStandby,
  type BackupSource,
  backupSource,
  endSegment,
} from "./snapshot/backup-source.ts";
import { chooseTransport, chooseWalSource } from "./snapshot/choices.ts";
import { combineFindings, parentManifestOf } from "./snapshot/parent.ts";
import { storeSettings } from "./snapshot/settings.ts";
import { type StoredBaseBackup, storeBaseBackup } from "./snapshot/store-base-backup.ts";
import {
  assureHistory,
  awaitArchive,
  lastSegment,
  type NeededWal,
  proveWal,
} from "./snapshot/wal.ts";
import { formatLsn } from "./wal/lsn.ts";
import { WalReceiver } from "./wal/receiver.ts";
import { segmentStart } from "./wal/segment-name.ts";

/** All that one backup works with. */
interface Work {
  readonly connection: ServerConnection;
  readonly client: pg.Client;
  readonly server: ServerFacts;
  /** The same, or a standby of it. */
  readonly source: BackupSource;
  readonly transport: Transport;
  readonly wal: WalSource;
  readonly request: SnapshotRequest;
  /** Of the backup that an incremental one builds on. */
  readonly parentManifest: PackedBytes | null;
  readonly rate: BackupRate;
}

/**
 * Takes a base backup of the whole cluster into the repository, with its settings files and all WAL
 * that it needs to become consistent, and proves that WAL before it resolves.
 * @throws LifeboatError `DATABASE_CHANGED`, what {@link preflight} found to be in the way, what the
 *   transport or the repository threw, `WAL_NOT_ARCHIVED`, `WAL_GAP`, `WAL_PARTED`
 */
export async function takeSnapshot(
  connection: ServerConnection,
  request: SnapshotRequest,
): Promise<Snapshot> {
  return withClient(connection, async (client) => {
    const server = await describeServer(client);
    assertSameCluster(server, request);
    const findings = [...(await preflight(connection, client, server))];
    const refused = refusal(findings);
    if (refused) throw refused;
    const wal = await chooseWalSource(client, server, request);
    const source = await backupSource(connection, server);
    const transport = chooseTransport(request.options, server);
    const parentManifest = await parentManifestOf(request);
    findings.push(...(await combineFindings(connection, server, request)));
    if (request.type === "full") findings.push(...(await spaceFindings(client, request.folder)));
    const settings = await storeSettings(client, server, (name, content) =>
      request.store(name, "settings", once(content)),
    );
    findings.push(...(await storeExtraPaths(connection, server, request.store)));
    const rate = await BackupRate.start(request.options.maxRate, connection);
    const own = { connection, client, server, source };
    const work = { ...own, transport, wal, request, parentManifest, rate };
    const taken = await takeWithWal(work).finally(() => rate.end());
    findings.push(...(await rate.end()));
    return {
      consistentAt: consistentAt(server, taken.lastCommit),
      details: await detailsOf(work, taken, settings.settings),
      findings: [
        ...findings,
        ...settings.findings,
        ...taken.findings,
        ...damageFindings(taken.damage),
      ],
    };
  });
}

interface Taken extends Pick<StoredBaseBackup, "tablespaces" | "reused" | "findings"> {
  readonly needed: NeededWal;
  readonly damage: readonly string[];
  /** Microseconds since 1970. */
  readonly lastCommit: number | undefined;
}

/** The base backup and its WAL; the WAL stream, where there is one, begins before and ends after. */
async function takeWithWal(work: Work): Promise<Taken> {
  const { connection, server, wal, request } = work;
  const { folder, signal } = request;
  await assureHistory(connection, work.client, folder);
  const receiver =
    wal === "stream" ? await WalReceiver.start({ connection, server, folder }) : undefined;
  try {
    const whole = receiver ? AbortSignal.any([signal, receiver.signal]) : signal;
    const isStandby = work.source.server.inRecovery;
    const { report } = request;
    if (isStandby)
      await awaitStandby({
        ...work,
        primary: work.client,
        streams: wal === "stream",
        report,
        signal,
      });
    const { backup, ...stored } = await storeBaseBackup(work, whole);
    const needed = neededWal(server, backup, !isStandby);
    if (isStandby) await endSegment(work.client);
    request.report({ note: `storing the WAL up to ${formatLsn(needed.stop)}` });
    if (receiver) await receiver.until(endOf(needed), signal);
    else await awaitArchive({ ...work, folder, needed, report: request.report, signal });
    const damage = await damageOf(work.client, backup.corruptPages);
    const lastCommit = await proveWal(folder, needed, signal);
    return { ...stored, needed, damage, lastCommit };
  } finally {
    await receiver?.close();
  }
}

function neededWal(server: ServerFacts, backup: BaseBackup, endIsWritten: boolean): NeededWal {
  return {
    timeline: backup.timeline,
    start: backup.startLsn,
    stop: backup.stopLsn,
    segmentBytes: server.walSegmentBytes,
    endIsWritten,
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** The server switches segments when a backup stops, so the last one fills up to its end. */
function endOf(needed: NeededWal): bigint {
  return segmentStart(lastSegment(needed) + 1n, needed.segmentBytes);
}

/**
 * The state at the stop position holds every commit before it: all up to the last of these, which
 * the WAL tells. Where nothing was committed since the start, all up to the server's clock before
 * the start. Rounded up, since a millisecond cut short would lie before the commit.
 */
function consistentAt(server: ServerFacts, lastCommit: number | undefined): Date {
  return new Date(Math.max(server.clock.getTime(), Math.ceil((lastCommit ?? 0) / 1000)));
}

async function detailsOf(
  { client, server, transport, wal }: Work,
  { needed, tablespaces, damage, reused }: Taken,
  settings: PostgresDetails["settings"],
): Promise<Readonly<Record<string, unknown>>> {
  const details: PostgresDetails = {
    systemIdentifier: server.systemIdentifier,
    serverVersion: server.version,
    timeline: needed.timeline,
    startLsn: formatLsn(needed.start),
    stopLsn: formatLsn(needed.stop),
    walSegmentBytes: needed.segmentBytes,
    transport: transport.name,
    wal,
    checksums: server.checksums,
    dataDirectory: server.dataDirectory,
    tablespaces,
    settings,
    owner: await directoryOwner(server),
    database: client.database ?? null,
    serverStartedAt: server.startedAt,
    ...(damage.length > 0 ? { damage } : {}),
    ...(reused.objects > 0 ? { reused } : {}),
  };
  return { ...details };
}

function assertSameCluster(server: ServerFacts, { folder }: SnapshotRequest): void {
  if (folder.database === server.systemIdentifier) return;
  throw new LifeboatError({
    code: "DATABASE_CHANGED",
    kind: "refused",
    message: `the server is the cluster ${server.systemIdentifier}, and ${folder.path} belongs to ${folder.database}`,
    remedy: "run the backup again: it will get a folder of its own",
    details: { found: server.systemIdentifier, expected: folder.database },
  });
}
