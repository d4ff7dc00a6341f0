import type pg from "pg";

/**
 * What is to be thought of a slot:
 * - `active`: somebody streams through it
 * - `reserved`: made, never used, and holds no WAL back
 * - `inactive`: nobody uses it, and the server keeps WAL for it
 * - `synced`: nobody uses it here; this standby keeps it in step with its primary's, for a failover
 * - `losing`: the server is about to remove WAL that it needs
 * - `lost`: that WAL is gone, whoever used it has to be built anew
 */
export type SlotVerdict = "active" | "reserved" | "inactive" | "synced" | "losing" | "lost";

export interface SlotState {
  readonly name: string;
  readonly type: "physical" | "logical";
  readonly active: boolean;
  /** Belongs to a connection and goes with it. */
  readonly temporary: boolean;
  /** A standby's copy of a slot of its primary (from 17), which alone can drop it. */
  readonly synced: boolean;
  /** WAL that the server keeps for it; 0 where it keeps none. */
  readonly retainedBytes: number;
  readonly walStatus: string | null;
  /** What may still be written before the server gives the slot up; null while nothing bounds it. */
  readonly safeBytes: number | null;
  /** Since when nobody uses it: ISO 8601 UTC; null where it is used, or the server (before 17) does not know. */
  readonly inactiveSince: string | null;
  /** `lifeboat` for one that Lifeboat made; else who streams through it, or the plugin of a logical one. */
  readonly owner: string | null;
  readonly verdict: SlotVerdict;
}

/** Slots that Lifeboat makes begin so, unless a name was asked for. */
export const OWN_SLOT_PREFIX = "lifeboat_";

/** On a standby there is no current position to write to; the replayed one takes its place. */
const query = ({ inactiveSince, synced }: NewerColumns) => `
  select slot_name as name, slot_type as type, active, temporary, wal_status as "walStatus",
         safe_wal_size::int8::text as "safeBytes",
         restart_lsn is not null as "hasPosition",
         greatest(coalesce(pg_wal_lsn_diff(
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
           restart_lsn), 0), 0)::int8::text as "retainedBytes",
         ${inactiveSince} as "inactiveSince", ${synced} as synced,
         coalesce(nullif(s.application_name, ''), r.plugin) as user
  from pg_replication_slots r left join pg_stat_replication s on s.pid = r.active_pid
  order by slot_name`;

interface Row {
  readonly name: string;
  readonly type: SlotState["type"];
  readonly active: boolean;
  readonly temporary: boolean;
  readonly walStatus: string | null;
  readonly safeBytes: string | null;
  readonly hasPosition: boolean;
  readonly retainedBytes: string;
  readonly inactiveSince: Date | null;
  readonly synced: boolean;
  readonly user: string | null;
}

/** All replication slots. Any role may ask; who streams, only members of pg_monitor see. */
export async function readSlots(client: pg.Client): Promise<SlotState[]> {
  const { rows } = await client.query<Row>(query(await newerColumns(client)));
  return rows.map(stateOf);
}

interface NewerColumns {
  readonly inactiveSince: string;
  readonly synced: string;
}

/** Version 17 brought them. A standby that was promoted goes on calling its slots synced: they are its own then. */
async function newerColumns(client: pg.Client): Promise<NewerColumns> {
  const { rows } = await client.query<{ known: boolean }>(
    "select current_setting('server_version_num')::int >= 170000 as known",
  );
  return rows[0]?.known
    ? { inactiveSince: "r.inactive_since", synced: "r.synced and pg_is_in_recovery()" }
    : { inactiveSince: "null::timestamptz", synced: "false" };
}

function stateOf(found: Row): SlotState {
  const { hasPosition, user, ...row } = found;
  const own = row.name.startsWith(OWN_SLOT_PREFIX);
  return {
    ...row,
    retainedBytes: Number(row.retainedBytes),
    safeBytes: row.safeBytes === null ? null : Number(row.safeBytes),
    inactiveSince: row.inactiveSince?.toISOString() ?? null,
    owner: own ? "lifeboat" : user,
    verdict: verdictOf(found),
  };
}

function verdictOf({ active, walStatus, hasPosition, synced }: Row): SlotVerdict {
  if (walStatus === "lost") return "lost";
  if (walStatus === "unreserved") return "losing";
  // What brings it in step takes hold of it for a moment each time.
  if (synced) return "synced";
  if (active) return "active";
  return hasPosition ? "inactive" : "reserved";
}
