import type pg from "pg";

export interface SlotState {
  readonly name: string;
  readonly type: "physical" | "logical";
  readonly active: boolean;
  readonly temporary: boolean;
  /** WAL that the server keeps for it; 0 where it keeps none. */
  readonly retainedBytes: number;
  readonly walStatus: string | null;
}

/** On a standby there is no current position to write to; the replayed one takes its place. */
const QUERY = `
  select slot_name as name, slot_type as type, active, temporary, wal_status as "walStatus",
         coalesce(pg_wal_lsn_diff(
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
           restart_lsn), 0)::int8::text as "retainedBytes"
  from pg_replication_slots order by slot_name`;

/** All replication slots. Any role may ask. */
export async function readSlots(client: pg.Client): Promise<SlotState[]> {
  const { rows } = await client.query(QUERY);
  return rows.map((row) => ({ ...row, retainedBytes: Number(row.retainedBytes) })) as SlotState[];
}
