import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "@lifeboat/core";
import type pg from "pg";
import { localDirectory } from "../facts/local-directory.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { readSlots, type SlotState } from "../slots/slots.ts";

/** Of so many segments the rate is taken: enough to even out a burst, few enough to be of now. */
const RATE_SEGMENTS = 16;

/**
 * Segments that were finished, by when; those that wait to be used again bear later names. Takes the
 * right of pg_monitor.
 */
const RATE_QUERY = `
  with finished as (
    select modification from pg_ls_waldir()
    where length(name) = 24 and name < pg_walfile_name(pg_current_wal_lsn())
      and left(name, 8) = left(pg_walfile_name(pg_current_wal_lsn()), 8)
    order by name desc limit ${RATE_SEGMENTS + 1})
  select count(*)::int - 1 as segments,
         extract(epoch from clock_timestamp() - min(modification))::float8 as seconds
  from finished`;

const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Slots that nobody uses, that are about to lose their WAL or have lost it, each with how long the disk lasts at the present
 * rate, and the setting that would bound what they can hold back.
 */
export async function slotFindings(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  const slots = (await readSlots(client)).filter(({ temporary }) => !temporary);
  if (slots.length === 0) return [];
  const unused = slots.filter(
    ({ active, verdict, synced }) => !active && verdict !== "lost" && !synced,
  );
  const losing = slots.filter(({ verdict }) => verdict === "losing");
  const lost = slots.filter(({ verdict }) => verdict === "lost");
  const seconds = unused.length > 0 ? await secondsToFull(client, server) : undefined;
  return [
    ...unused.map((slot) => inactive(slot, seconds)),
    ...(await outOfStep(client, slots)),
    ...losing.map(losingSlot),
    ...lost.map(lostSlot),
    ...(await unboundedSlots(client)),
  ];
}

/** Without a bound one forgotten slot fills the disk, and the database stops (manual, 20.6.1). */
export async function unboundedSlots(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<{ setting: string }>(
    "select setting from pg_settings where name = 'max_slot_wal_keep_size'",
  );
  if (rows[0]?.setting !== "-1") return [];
  return [
    {
      id: "slot-wal-unbounded",
      severity: "warning",
      summary:
        "max_slot_wal_keep_size is not set: a replication slot that nobody reads keeps WAL until the disk is full and the database stops",
      remedy:
        "choose how much pg_wal may hold for slots, such as: alter system set max_slot_wal_keep_size = '10GB'; select pg_reload_conf()",
    },
  ];
}

function inactive(slot: SlotState, seconds: number | null | undefined): Finding {
  const { name, retainedBytes, walStatus, inactiveSince, owner } = slot;
  const since = inactiveSince === null ? "" : ` since ${inactiveSince}`;
  // What reserves nothing fills nothing.
  const fills =
    seconds == null || slot.verdict === "reserved"
      ? ""
      : `; at the present rate the disk is full in ${inWords(seconds)}`;
  const whose = owner === "lifeboat" ? " (Lifeboat's)" : "";
  return {
    id: "slot-inactive",
    severity: "warning",
    summary: `replication slot ${name}${whose} is used by nobody${since} and holds back ${megabytes(retainedBytes)} of WAL (${walStatus ?? "nothing reserved"})${fills}`,
    remedy: `if nothing will come back for it: lifeboat slots --drop ${name}, or select pg_drop_replication_slot('${name}')`,
  };
}

/**
 * Slots that a standby (from 17) was to keep in step with its primary's: with that turned off they stand still, and can't be dropped
 * here. `pg_sync_replication_slots()` by hand is for trials (the manual, 47.2.3).
 */
async function outOfStep(client: pg.Client, slots: readonly SlotState[]): Promise<Finding[]> {
  const synced = slots.filter((slot) => slot.synced);
  if (synced.length === 0) return [];
  const { rows } = await client.query<{ on: boolean }>(
    `select current_setting('sync_replication_slots')::bool as on`,
  );
  if (rows[0]?.on) return [];
  return synced.map(({ name, retainedBytes }) => ({
    id: "slot-out-of-step",
    severity: "warning",
    summary: `replication slot ${name} of this standby is no longer kept in step with its primary's, and holds back ${megabytes(retainedBytes)} of WAL here`,
    remedy: `alter system set sync_replication_slots = on; select pg_reload_conf(); if nothing needs the slot, drop it on the primary before: select pg_drop_replication_slot('${name}')`,
  }));
}

/** Also of one that somebody reads, too slowly: until the next checkpoint there is something to be done. */
export function losingSlot({ name, retainedBytes }: SlotState): Finding {
  return {
    id: "slot-losing",
    severity: "warning",
    summary: `replication slot ${name} is ${megabytes(retainedBytes)} behind, more than max_slot_wal_keep_size allows: the next checkpoint removes WAL that it needs`,
    remedy: `let it keep more, if there is room, until its reader has caught up: alter system set max_slot_wal_keep_size = '${2 * Math.ceil(retainedBytes / (1 << 20))}MB'; select pg_reload_conf()`,
  };
}

function lostSlot({ name, synced }: SlotState): Finding {
  if (synced)
    return {
      id: "slot-lost",
      severity: "warning",
      summary: `replication slot ${name}, which this standby keeps in step with its primary's, has lost its WAL: after a failover its subscriber could not go on`,
      remedy: `nothing here: the standby makes it again from the primary's, if that is whole; see there: lifeboat slots`,
    };
  return {
    id: "slot-lost",
    severity: "error",
    summary: `replication slot ${name} has lost the WAL that it was to keep: whoever uses it cannot go on`,
    remedy: `build that standby anew, or begin that archive anew with a backup, and: lifeboat slots --drop ${name}`,
  };
}

/**
 * How long the disk of pg_wal lasts at the rate at which WAL is written now; null where that is not
 * known: on another host, without the right, or with nothing written yet.
 */
async function secondsToFull(client: pg.Client, server: ServerFacts): Promise<number | null> {
  const directory = server.inRecovery ? undefined : await localDirectory(server);
  if (directory === undefined) return null;
  const rate = await walRate(client, server);
  if (rate === null) return null;
  const { bavail, bsize } = await statfs(join(directory, "pg_wal"));
  return (bavail * bsize) / rate;
}

/** Bytes a second. */
async function walRate(
  client: pg.Client,
  { walSegmentBytes }: ServerFacts,
): Promise<number | null> {
  try {
    const { rows } = await client.query<{ segments: number; seconds: number | null }>(RATE_QUERY);
    const { segments, seconds } = rows[0] ?? { segments: 0, seconds: null };
    return segments > 0 && seconds !== null && seconds > 0
      ? (segments * walSegmentBytes) / seconds
      : null;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === INSUFFICIENT_PRIVILEGE) return null;
    throw thrown;
  }
}

function inWords(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} seconds`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} hours`;
  return `${Math.round(seconds / 86_400)} days`;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / (1 << 20))} MiB`;
}
