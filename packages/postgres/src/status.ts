import { join } from "node:path";
import type { DatabaseFolder, EngineStatus, Finding, WatchNote } from "@lifeboat/core";
import type pg from "pg";
import { elsewhereFinding } from "./archive/elsewhere.ts";
import { findingsFor } from "./archive/findings.ts";
import { givenUpFinding } from "./archive/given-up-wal.ts";
import { isPushing } from "./archive/push-pipes.ts";
import { isStreaming, receiverStatus } from "./archive/receiver-status.ts";
import { SPOOL, WalSpool } from "./archive/wal-spool.ts";
import type { ArchiveChoice } from "./archive/watch-server.ts";
import { type ServerConnection, withClient } from "./connection/connection.ts";
import { type ArchiverState, readArchiver } from "./facts/archiver.ts";
import { localDirectory } from "./facts/local-directory.ts";
import { describeServer, type ServerFacts } from "./facts/server-facts.ts";
import { type WaitingSegment, waitingSegments } from "./facts/waiting-segments.ts";
import { configurationFindings } from "./preflight/configuration.ts";
import { liveFindings } from "./preflight/live.ts";
import { findingOf } from "./preflight.ts";
import { readSlots } from "./slots/slots.ts";
import { lsnOf } from "./wal/lsn.ts";
import { parseWalFileName, segmentNumber, segmentStart } from "./wal/segment-name.ts";

type ArchiveStatus = NonNullable<EngineStatus["archive"]>;

interface StatusRequest {
  readonly folder: DatabaseFolder | null;
  readonly archive: ArchiveChoice;
  /** What a watch on this machine last said. */
  readonly note: WatchNote | null;
}

/** How archiving and slots of the live server stand. What cannot be asked is an alert, never thrown. */
export async function serverStatus(
  connection: ServerConnection,
  about: StatusRequest,
): Promise<EngineStatus> {
  const { folder, archive } = about;
  try {
    return await withClient(connection, async (client) => {
      const server = await describeServer(client);
      // Without an archiver WAL may come by a `wal receive` that somebody runs all the same.
      const isReceived =
        archive.mode === "receive" || (!server.archiving && (await isStreaming(client)));
      const received = isReceived ? await receiverStatus(client, server, folder) : undefined;
      const byCommand = received || !server.archiving ? null : await archiveStatus(client, server);
      const given = await givenUp(server, folder);
      // What was given up is not in the repository either, and said already.
      const elsewhere =
        byCommand && given.length === 0 ? await elsewhereFinding(client, server, folder) : [];
      const live = await liveAlerts(client, server);
      // The archiver of a standby has nothing to do: that nothing waits for it tells nothing.
      const faults = [...elsewhere, ...live].filter(({ id }) => /^(archive|server)-/.test(id));
      const reaches = byCommand && { ...byCommand, ok: faults.length === 0 };
      return {
        archive: received?.archive ?? reaches,
        slots: (await readSlots(client)).map((slot) => ({ ...slot })),
        alerts: [
          ...(received?.alerts ?? []),
          ...given,
          ...elsewhere,
          ...findingsFor(live, archive),
          ...(isReceived || server.archiving ? [] : await noLonger(client, server)),
        ],
        database: server.systemIdentifier,
        ...(await shippingOf(server, about)),
      };
    });
  } catch (thrown) {
    return { archive: null, slots: [], alerts: [findingOf(thrown)] };
  }
}

async function liveAlerts(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  const found = [...configurationFindings(server), ...(await liveFindings(client, server))];
  return found.filter(({ id }) => WORRYING.has(id));
}

const WORRYING: ReadonlySet<string> = new Set([
  "archive-command-empty",
  "archive-failing",
  "archive-stalled",
  "server-is-standby",
  "slot-inactive",
  "slot-losing",
  "slot-lost",
  "slot-out-of-step",
]);

/** To do without an archive may be somebody's choice; one that the server had, and has no more, is a recovery point that grows old. */
async function noLonger(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  if ((await readArchiver(client)).lastArchivedWal === null) return [];
  return configurationFindings(server).filter(({ id }) => id === "archive-mode-off");
}

async function givenUp(server: ServerFacts, folder: DatabaseFolder | null): Promise<Finding[]> {
  const directory = await localDirectory(server);
  return directory === undefined ? [] : givenUpFinding(directory, folder);
}

/** What only its faults tell is left to who knows them. */
async function archiveStatus(
  client: pg.Client,
  server: ServerFacts,
): Promise<Omit<ArchiveStatus, "ok">> {
  const archiver = await readArchiver(client);
  const waiting = await waitingSegments(client, server);
  const oldest = waiting[0] ?? null;
  return {
    lagSeconds: lagSeconds(archiver, oldest, server),
    lagBytes: await lagBytes(client, server, archiver),
    lastSegment: archiver.lastArchivedWal,
    oldestUnarchived: oldest?.name ?? null,
  };
}

/** With nothing waiting there is no lag, however long ago the last segment was archived. */
function lagSeconds(
  { lastArchivedTime }: ArchiverState,
  oldest: WaitingSegment | null,
  { clock }: ServerFacts,
): number {
  if (oldest === null) return 0;
  const since = lastArchivedTime ?? oldest.since;
  return Math.max(0, (clock.getTime() - since.getTime()) / 1000);
}

/** WAL written since the end of the last segment that was archived. */
async function lagBytes(
  client: pg.Client,
  { inRecovery, walSegmentBytes }: ServerFacts,
  { lastArchivedWal }: ArchiverState,
): Promise<number | null> {
  // A backup's label comes after the segment that it is named for: the archiver goes by name.
  const segment = lastArchivedWal?.replace(/\.[0-9A-F]{8}\.backup$/, "");
  const file = segment === undefined ? undefined : parseWalFileName(segment);
  const number = file && "high" in file ? segmentNumber(file, walSegmentBytes) : undefined;
  if (inRecovery || number === undefined) return null;
  const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_lsn() as lsn");
  const written = lsnOf(rows[0]?.lsn ?? "0/0");
  return Math.max(0, Number(written - segmentStart(number + 1n, walSegmentBytes)));
}

/** The watch that ships; and what may outlive the command that started it: a prefetcher, and a pusher. */
async function shippingOf(
  server: ServerFacts,
  { note }: StatusRequest,
): Promise<Pick<EngineStatus, "shipping">> {
  const watch = note && { watch: { alive: note.alive, at: note.at, ...note.facts } };
  const directory = await localDirectory(server);
  if (directory === undefined) return watch ? { shipping: watch } : {};
  const spool = new WalSpool(join(directory, SPOOL));
  const ready = (await spool.ready().catch((): string[] => [])).length;
  const running = await spool.isFilled();
  const prefetcher = running || ready > 0 ? { prefetcher: { running, ready } } : null;
  // A watch pushes by the same pipes.
  const pushes = !note?.alive && (await isPushing(directory));
  const pusher = pushes ? { pusher: { running: true } } : null;
  return watch || prefetcher || pusher ? { shipping: { ...watch, ...prefetcher, ...pusher } } : {};
}
