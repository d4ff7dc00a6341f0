import { basename } from "node:path";
import { type Finding, LifeboatError } from "@lifeboat/core";
import pg from "pg";
import type { ServerFacts } from "../facts/server-facts.ts";
import { losingSlot } from "../preflight/slot-findings.ts";
import { OWN_SLOT_PREFIX, readSlots, type SlotState } from "../slots/slots.ts";
import type { Lsn } from "../wal/lsn.ts";
import { assertSlotName } from "../wal/receive-slot.ts";
import { segmentAt, segmentName } from "../wal/segment-name.ts";
import type { SlotReservation } from "./slot-reservation.ts";

/** The slot of a standby when none is named: after its directory, so that a second run finds it again. */
export function standbySlotName(dataDirectory: string): string {
  const name = basename(dataDirectory)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, "_");
  return `${OWN_SLOT_PREFIX}standby_${name}`.slice(0, 63);
}

/**
 * Reserves WAL on the primary from now on. A slot of this name that is there already is another standby's, though it is
 * down, and dropping it would cost that one its WAL; unless a run to this very place was killed after it had made it.
 * @returns the position from which on the primary keeps it
 * @throws LifeboatError `SLOT_ACTIVE`, `SLOT_EXISTS` (kind `refused`)
 */
export async function reserveSlot(
  client: pg.Client,
  name: string,
  reservation: SlotReservation,
): Promise<string> {
  assertSlotName(name);
  const slot = (await readSlots(client)).find((each) => each.name === name);
  if (slot && (slot.active || !(await reservation.names(name)))) throw slotTaken(slot);
  await reservation.note(name);
  if (slot) await client.query("select pg_drop_replication_slot($1)", [name]);
  try {
    const { rows } = await client.query<{ lsn: string }>(
      "select lsn from pg_create_physical_replication_slot($1, true)",
      [name],
    );
    return rows[0]?.lsn ?? "0/0";
  } catch (cause) {
    // Whether it was made before the connection broke is not known.
    if (!(cause instanceof pg.DatabaseError)) throw cause;
    // None of that name is ours. Where another run made it in the same moment its note was overwritten: none is better than one that
    // names it as left behind.
    await reservation.end();
    if (cause.code !== DUPLICATE_OBJECT) throw cause;
    throw slotTaken({ name, active: false, owner: null });
  }
}

const DUPLICATE_OBJECT = "42710";

function slotTaken({
  name,
  active,
  owner,
}: Pick<SlotState, "name" | "active" | "owner">): LifeboatError {
  const by = owner === null ? "" : ` by ${owner}`;
  return new LifeboatError({
    code: active ? "SLOT_ACTIVE" : "SLOT_EXISTS",
    kind: "refused",
    message: active
      ? `replication slot ${name} is in use${by}`
      : `replication slot ${name} is there already, and keeps WAL for whoever made it`,
    remedy: active
      ? "it may be another standby's: name another slot by --slot"
      : `it may be a standby's that is down: name another slot by --slot, or drop it if nothing needs it any more: lifeboat slots --drop ${name}`,
    details: { slot: name },
  });
}

const WRITTEN_QUERY = `
  select pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                         $1::pg_lsn)::int8::text as bytes`;

/**
 * Whether the primary still keeps the WAL from where a slot was reserved: while a copy is made it may write more than
 * `max_slot_wal_keep_size` lets a slot hold back. Of a slot that is lost no standby ever streams, whatever an archive brings.
 * @param reserved what {@link reserveSlot} returned
 * @returns that it is about to be lost, where it is
 * @throws LifeboatError `SLOT_LOST`
 */
export async function assertSlotHolds(
  client: pg.Client,
  name: string,
  reserved: string,
): Promise<Finding[]> {
  const slot = (await readSlots(client)).find((each) => each.name === name);
  if (slot?.verdict === "losing") return [losingSlot(slot)];
  if (slot && slot.verdict !== "lost") return [];
  const { rows } = await client.query<{ bytes: string }>(WRITTEN_QUERY, [reserved]);
  const megabytes = 2 * Math.ceil(Number(rows[0]?.bytes) / (1 << 20));
  throw new LifeboatError({
    code: "SLOT_LOST",
    message: slot
      ? `while the copy was made the primary wrote more WAL than max_slot_wal_keep_size lets replication slot ${name} hold back, and gave the slot up: no standby could stream from it`
      : `while the copy was made replication slot ${name} was dropped: no standby could stream from it`,
    remedy: `run it again, when the primary writes less, or with room for it: alter system set max_slot_wal_keep_size = '${megabytes}MB'; select pg_reload_conf()`,
    details: { slot: name },
  });
}

const SIZES_QUERY = `
  select (select sum(pg_tablespace_size(oid)) from pg_tablespace)::int8::text as "clusterBytes",
         (select setting::int8 * 1048576 from pg_settings where name = 'wal_keep_size')::text as "keptBytes",
         (select wal_bytes::text from pg_stat_wal) as "walBytes",
         (select extract(epoch from clock_timestamp() - greatest(stats_reset, pg_postmaster_start_time()))::float8 from pg_stat_wal) as seconds`;

/** What a disk and a network do at least, in bytes a second; a bound given by --max-rate is less. */
const ASSUMED_RATE = 50 << 20;
/** WAL comes in bursts. */
const CAUTION = 2;

/**
 * Without a slot the primary keeps `wal_keep_size` and no more: the WAL that is written while the copy is
 * made has to fit in.
 * @throws LifeboatError `WAL_KEEP_TOO_SMALL` (kind `refused`) with what would do
 */
export async function assertKeepsEnough(
  client: pg.Client,
  { walSegmentBytes }: ServerFacts,
  maxRate: number | null,
): Promise<void> {
  const { rows } = await client.query<Record<string, string | number>>(SIZES_QUERY);
  const { clusterBytes, keptBytes, walBytes, seconds } = rows[0] ?? {};
  const takes = Number(clusterBytes) / Math.min(maxRate ?? ASSUMED_RATE, ASSUMED_RATE);
  const rate = Number(walBytes) / Math.max(1, Number(seconds));
  // The segment under way and the one that the checkpoint lies in count in any case.
  const needed = Math.ceil(rate * takes * CAUTION) + 2 * walSegmentBytes;
  if (Number(keptBytes) >= needed) return;
  const megabytes = Math.ceil(needed / (1 << 20));
  throw new LifeboatError({
    code: "WAL_KEEP_TOO_SMALL",
    kind: "refused",
    message: `wal_keep_size keeps ${Math.floor(Number(keptBytes) / (1 << 20))} MiB of WAL; while the copy is made (about ${Math.ceil(takes)} s) ${megabytes} MiB may be written`,
    remedy: `leave --without-slot out, or: alter system set wal_keep_size = '${megabytes}MB'; select pg_reload_conf()`,
    details: { keptBytes: Number(keptBytes), neededBytes: needed },
  });
}

/**
 * Without a slot nothing keeps the WAL that a standby begins with, and an estimate may have been too low. An archive may bring it all the same.
 * What only pg_monitor may see is not looked at.
 */
export async function removedMeanwhile(
  client: pg.Client,
  { inRecovery, timeline, walSegmentBytes }: ServerFacts,
  startLsn: Lsn,
): Promise<Finding[]> {
  const name = segmentName(timeline, segmentAt(startLsn, walSegmentBytes), walSegmentBytes);
  if (inRecovery || !(await mayListWal(client))) return [];
  const { rows } = await client.query("select from pg_ls_waldir() where name = $1", [name]);
  if (rows.length > 0) return [];
  return [
    {
      id: "standby-wal-removed",
      severity: "warning",
      summary: `while the copy was made the primary has removed WAL segment ${name}, with which this standby begins: it follows only if its archive brings that`,
      remedy:
        "start it by --start, which tells; where no archive has that segment, make it anew with a slot, or with a larger wal_keep_size",
    },
  ];
}

async function mayListWal(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    "select has_function_privilege('pg_ls_waldir()', 'execute') as may",
  );
  return rows[0]?.may === true;
}
