import type { Finding } from "@lifeboat/core";
import type pg from "pg";
import type { ServerFacts } from "../facts/server-facts.ts";

/** A backup's WAL stream holds one while it runs. */
const SLOTS_OF_STREAM = 1;
/** Above this, instants by its clock and by ours can no longer be compared without care. */
const CLOCK_TOLERANCE_MS = 2_000;

const SLOTS_QUERY = `
  select current_setting('max_replication_slots')::int as most,
    array(select slot_name::text from pg_replication_slots order by 1) as names`;

/** Sorts and hashes that spilled; only members of pg_monitor may ask. */
const TEMPORARY_QUERY = `
  select count(*)::int as count, coalesce(sum(size), 0)::int8::text as bytes
  from pg_tablespace t, lateral pg_ls_tmpdir(t.oid)
  where spcname <> 'pg_global'`;
const MAY_LIST_QUERY = "select has_function_privilege('pg_ls_tmpdir(oid)', 'execute') as may";

const IDLE_QUERY = `
  select count(*)::int as count,
    extract(epoch from max(clock_timestamp() - xact_start))::int as seconds,
    (array_agg(pid order by xact_start))[1] as pid
  from pg_stat_activity
  where state like 'idle in transaction%' and xact_start < clock_timestamp() - $1 * interval '1 s'`;

/**
 * What goes on in the server now, beside replication.
 * @param idleSeconds from when on a session that sits in a transaction is worth a word
 */
export async function activityFindings(
  client: pg.Client,
  server: ServerFacts,
  idleSeconds = 300,
): Promise<Finding[]> {
  return [
    ...(await slots(client)),
    ...(await temporaryFiles(client)),
    ...(await idleTransactions(client, idleSeconds)),
    ...clock(server),
  ];
}

async function slots(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<{ most: number; names: string[] }>(SLOTS_QUERY);
  const { most, names } = rows[0] ?? { most: 0, names: [] };
  if (most - names.length >= SLOTS_OF_STREAM) return [];
  const held = names.length === 0 ? "" : `, held by ${names.join(", ")}`;
  return [
    {
      id: "replication-slots-scarce",
      severity: "warning",
      summary: `no replication slot is free of ${most}${held}; a backup with --wal stream needs one`,
      remedy: `alter system set max_replication_slots = ${Math.max(10, names.length + 5)}; then restart the server`,
    },
  ];
}

async function temporaryFiles(client: pg.Client): Promise<Finding[]> {
  const allowed = await client.query<{ may: boolean }>(MAY_LIST_QUERY);
  if (allowed.rows[0]?.may !== true) return [];
  const { rows } = await client.query<{ count: number; bytes: string }>(TEMPORARY_QUERY);
  const { count, bytes } = rows[0] ?? { count: 0, bytes: "0" };
  if (count === 0) return [];
  return [
    {
      id: "temporary-files",
      severity: "info",
      summary: `queries hold ${count} temporary files of ${Math.ceil(Number(bytes) / (1 << 20))} MiB now: no backup takes them, but they need room beside pg_wal`,
      remedy:
        "nothing to do; log_temp_files = 0 shows which queries make them, work_mem bounds them",
    },
  ];
}

/** They hold back what vacuum may remove, and what a checkpoint before a backup has to write. */
async function idleTransactions(client: pg.Client, idleSeconds: number): Promise<Finding[]> {
  const { rows } = await client.query<{ count: number; seconds: number; pid: number }>(IDLE_QUERY, [
    idleSeconds,
  ]);
  const { count, seconds, pid } = rows[0] ?? { count: 0, seconds: 0, pid: 0 };
  if (count === 0) return [];
  return [
    {
      id: "idle-in-transaction",
      severity: "warning",
      summary: `${count} sessions sit idle in a transaction, the oldest (process ${pid}) since ${Math.round(seconds / 60)} minutes`,
      remedy: `if nobody is at it: select pg_terminate_backend(${pid}); and alter system set idle_in_transaction_session_timeout = '10min'`,
    },
  ];
}

function clock({ clock: theirs }: ServerFacts): Finding[] {
  const difference = Math.abs(theirs.getTime() - Date.now());
  if (difference <= CLOCK_TOLERANCE_MS) return [];
  return [
    {
      id: "clock-differs",
      severity: "warning",
      summary: `the server's clock and this host's differ by ${(difference / 1000).toFixed(1)} s: instants to recover to are the server's`,
      remedy: "let both follow the same time servers (chronyc tracking, timedatectl)",
    },
  ];
}
