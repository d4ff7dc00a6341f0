import { LifeboatError, type Snapshot, type SnapshotRequest } from "@lifeboat/core";
import type pg from "pg";
import { pack } from "tar-stream";
import { awaitStandby, type BackupSource, backupSource, endSegment } from "./backup-source.ts";
import type { BaseBackup, TablespaceArchive, Transport } from "./basebackup/transport.ts";
import { type ServerConnection, withClient } from "./connection.ts";
import { damageFindings, damageOf } from "./damage.ts";
import type { PostgresDetails, WalSource } from "./details.ts";
import { storeExtraPaths } from "./extra-paths.ts";
import { directoryOwner } from "./local-directory.ts";
import { preflight, refusal } from "./preflight.ts";
import { BackupRate } from "./rate/backup-rate.ts";
import { describeServer, type ServerFacts } from "./server-facts.ts";
import { chooseTransport, chooseWalSource, jobsOf } from "./snapshot-choices.ts";
import { combineFindings, parentManifestOf } from "./snapshot-parent.ts";
import { storeSettings } from "./snapshot-settings.ts";
import { awaitArchive, lastSegment, type NeededWal, proveWal } from "./snapshot-wal.ts";
import { storeRanges } from "./stored-ranges.ts";
import { TarRanges } from "./tar-ranges.ts";
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
  readonly parentManifest: Uint8Array | null;
  readonly rate: BackupRate;
}

/**
 * Takes a base backup of the whole cluster into the repository, with its settings files and all WAL
 * that it needs to become consistent, and proves that WAL before it resolves.
 * @throws LifeboatError `DATABASE_CHANGED`, what {@link preflight} found to be in the way, what the
 *   transport or the repository threw, `WAL_NOT_ARCHIVED`, `WAL_GAP`
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
    const transport = chooseTransport(request);
    const parentManifest = await parentManifestOf(client, server, request);
    findings.push(...(await combineFindings(connection, server, request)));
    const settings = await storeSettings(client, server, request.store);
    findings.push(...(await storeExtraPaths(connection, server, request.store)));
    const rate = await BackupRate.start(request.options.maxRate, connection);
    const own = { connection, client, server, source };
    const work = { ...own, transport, wal, request, parentManifest, rate };
    const taken = await takeWithWal(work).finally(() => rate.end());
    findings.push(...(await rate.end()));
    return {
      consistentAt: consistentAt(server, taken.lastCommit),
      details: await detailsOf(work, taken, settings.settings),
      findings: [...findings, ...settings.findings, ...damageFindings(taken.damage)],
    };
  });
}

interface Taken {
  readonly needed: NeededWal;
  readonly tablespaces: PostgresDetails["tablespaces"];
  readonly damage: readonly string[];
  /** Microseconds since 1970. */
  readonly lastCommit: number | undefined;
}

/** The base backup and its WAL; the WAL stream, where there is one, begins before and ends after. */
async function takeWithWal(work: Work): Promise<Taken> {
  const { connection, server, wal, request } = work;
  const { folder, signal } = request;
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
    const { backup, tablespaces } = await storeBaseBackup(work, whole);
    const needed = neededWal(server, backup);
    if (isStandby) await endSegment(work.client);
    request.report({ note: `storing the WAL up to ${formatLsn(needed.stop)}` });
    if (receiver) await receiver.until(endOf(needed), signal);
    else await awaitArchive({ ...work, folder, needed, report: request.report, signal });
    const damage = await damageOf(work.client, backup.corruptPages);
    return { needed, tablespaces, damage, lastCommit: await proveWal(folder, needed, signal) };
  } finally {
    await receiver?.close();
  }
}

async function storeBaseBackup(work: Work, signal: AbortSignal) {
  const { transport, request, parentManifest } = work;
  const { connection, server } = work.source;
  const stored = new StoredTablespaces();
  const archives = new Map<string, TarRanges>();
  const archive = async ({ tablespace, part, content }: TablespaceArchive) => {
    const suffix = part === null ? "" : `.${String(part).padStart(4, "0")}`;
    const name = `${tablespace?.oid ?? "base"}${suffix}.tar`;
    const role = tablespace ? "tablespace" : "base";
    const ranges = new TarRanges();
    const watched = ranges.watching(work.rate.through(content, signal));
    const { object } = await request.store(name, role, watched, ranges.ranges);
    archives.set(object, ranges);
    if (tablespace) stored.add(tablespace, { object, isPart: part !== null });
  };
  const label = request.options.label ?? `lifeboat ${request.id}`;
  const { maxRate: asked } = request.options;
  // Where the server itself can keep the rate, it reads no more than that; else it waits for us.
  const maxRate = typeof asked === "number" && transport.name !== "parallel" ? asked : null;
  const { report } = request;
  const backup = await transport.takeBaseBackup({
    ...{ connection, server, label, maxRate, parentManifest, archive, report, signal },
    jobs: jobsOf(request),
  });
  const { manifest } = backup;
  // By itself as well: the next incremental backup builds on it, and base.tar may be large.
  if (backup.manifestInArchive)
    await request.store("backup_manifest", "backup-manifest", once(manifest));
  else await request.store("backup_manifest.tar", "backup-manifest", manifestTar(manifest));
  // An incremental one is put together with those before it: no directory is ever compared with it alone.
  if (!parentManifest) await storeRanges(request.store, archives);
  return { backup, tablespaces: stored.details() };
}

/** Which objects each tablespace is in. */
class StoredTablespaces {
  readonly #objects = new Map<number, { location: string; object: string; parts: string[] }>();

  add(
    { oid, location }: NonNullable<TablespaceArchive["tablespace"]>,
    { object, isPart }: { object: string; isPart: boolean },
  ): void {
    const entry = this.#objects.get(oid) ?? { location, object: "", parts: [] };
    if (isPart) entry.parts.push(object);
    else entry.object = object;
    this.#objects.set(oid, entry);
  }

  details(): PostgresDetails["tablespaces"] {
    return [...this.#objects].map(([oid, { location, object, parts }]) => ({
      ...{ oid, location, object },
      ...(parts.length > 0 ? { parts: parts.toSorted() } : {}),
    }));
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A tar, so that unpacking every `*.tar.zst` of a backup gives a whole data directory. */
async function* manifestTar(manifest: Uint8Array): AsyncGenerator<Uint8Array> {
  const tar = pack();
  tar.entry({ name: "backup_manifest", mode: 0o600 }, Buffer.from(manifest));
  tar.finalize();
  for await (const chunk of tar) yield chunk as Uint8Array;
}

function neededWal(server: ServerFacts, backup: BaseBackup): NeededWal {
  return {
    timeline: backup.timeline,
    start: backup.startLsn,
    stop: backup.stopLsn,
    segmentBytes: server.walSegmentBytes,
  };
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
  { needed, tablespaces, damage }: Taken,
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
    ...(damage.length > 0 ? { damage } : {}),
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
