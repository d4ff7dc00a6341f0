import type { DatabaseFolder, EngineStatus, Finding } from "@lifeboat/core";
import type pg from "pg";
import type { ServerFacts } from "../facts/server-facts.ts";
import { readSlots } from "../slots/slots.ts";
import { newestSegment, readLogArchive, storedAt, TimelinePath } from "../wal/log-archive.ts";
import { type Lsn, lsnOf } from "../wal/lsn.ts";
import { segmentAt, segmentName, segmentStart } from "../wal/segment-name.ts";
import { RECEIVE_SLOT } from "./receive-wal.ts";

type ArchiveStatus = NonNullable<EngineStatus["archive"]>;

/** How a receiver stands that ships the WAL of this server. */
export interface ReceiverStatus {
  readonly archive: ArchiveStatus;
  readonly alerts: readonly Finding[];
}

const POSITION_QUERY = `
  select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end
           as written`;

/** From what lies in the repository, and whether somebody streams. @param folder null while there is none yet */
export async function receiverStatus(
  client: pg.Client,
  server: ServerFacts,
  folder: DatabaseFolder | null,
): Promise<ReceiverStatus> {
  const streams = await isStreaming(client);
  const shipped = folder && (await shippedUpTo(client, folder, server.walSegmentBytes));
  const { rows } = await client.query<{ written: string | null }>(POSITION_QUERY);
  const written = lsnOf(rows[0]?.written ?? "0/0");
  const behind = shipped ? Number(written - shipped.position) : null;
  const lagBytes = behind === null ? null : Math.max(0, behind);
  const age = shipped?.at ? (server.clock.getTime() - shipped.at.getTime()) / 1000 : null;
  return {
    archive: {
      ok: streams,
      lagSeconds: lagBytes === 0 ? 0 : age === null ? null : Math.max(0, age),
      lagBytes,
      lastSegment: shipped?.segment ?? null,
      oldestUnarchived: null,
    },
    alerts: streams ? [] : [notStreaming(lagBytes)],
  };
}

/** Our receivers bear the name of their slot. So do the standbys that we make, which replay what they are sent. */
export async function isStreaming(client: pg.Client): Promise<boolean> {
  const slots = await readSlots(client);
  if (slots.some(({ name, active }) => name === RECEIVE_SLOT && active)) return true;
  const { rows } = await client.query(
    `select from pg_stat_replication s join pg_replication_slots r on r.active_pid = s.pid
     where s.application_name = r.slot_name and s.replay_lsn is null`,
  );
  return rows.length > 0;
}

interface Shipped {
  readonly segment: string;
  readonly position: Lsn;
  /** When that was stored; null where it is not there any more. */
  readonly at: Date | null;
}

/**
 * The newest that the repository has, on the newest timeline; but none behind what the slot keeps for the receiver and it has
 * still to bring: that lies behind a hole as long.
 */
async function shippedUpTo(
  client: pg.Client,
  folder: DatabaseFolder,
  segmentBytes: number,
): Promise<Shipped | undefined> {
  const archive = await readLogArchive(folder, segmentBytes);
  const timeline = Math.max(0, ...archive.segments.keys(), ...archive.parts.keys());
  const number = newestSegment(archive, timeline);
  if (number === undefined) return undefined;
  const path = new TimelinePath(archive, timeline);
  const kept = await keptFrom(client);
  for (let each = segmentAt(kept ?? 0n, segmentBytes); kept !== undefined && each < number; each++)
    if (!storedAt(archive, path.segment(each))) {
      const before = path.segment(each - 1n);
      return {
        segment: segmentName(before.timeline, before.number, segmentBytes),
        position: segmentStart(each, segmentBytes),
        at: storedAt(archive, before) ?? null,
      };
    }
  const part = archive.parts.get(timeline);
  const whole = archive.segments.get(timeline)?.get(number);
  const bytes = part ? part.offset : segmentBytes;
  return {
    segment: segmentName(timeline, number, segmentBytes),
    position: segmentStart(number, segmentBytes) + BigInt(bytes),
    at: (part ? part.storedAt : whole) as Date,
  };
}

/** Of the usual slot, and of any other that a receiver streams through, what the server keeps for it; undefined where there is none. */
export async function keptFrom(client: pg.Client): Promise<Lsn | undefined> {
  const { rows } = await client.query<{ kept: string | null }>(
    `select min(r.restart_lsn)::text as kept
     from pg_replication_slots r left join pg_stat_replication s on s.pid = r.active_pid
     where r.slot_name = $1 or (s.application_name = r.slot_name and s.replay_lsn is null)`,
    [RECEIVE_SLOT],
  );
  return rows[0]?.kept ? lsnOf(rows[0].kept) : undefined;
}

function notStreaming(lagBytes: number | null): Finding {
  const behind =
    lagBytes === null ? "" : `; ${Math.ceil(lagBytes / (1 << 20))} MiB are not shipped`;
  return {
    id: "receiver-stopped",
    severity: "error",
    summary: `archive.mode is receive, and no receiver streams from the server${behind}`,
    remedy: "start lifeboat watch (or lifeboat wal receive) as a service, and see what it says",
  };
}
