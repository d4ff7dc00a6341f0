import type { Finding } from "@lifeboat/core";
import type pg from "pg";
import { type ArchiverState, readArchiver } from "../facts/archiver.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { waitingSegments } from "../facts/waiting-segments.ts";
import { isWithoutArchiver } from "./configuration.ts";
import { slotFindings } from "./slot-findings.ts";

/** A backup that streams its WAL needs one sender for the data and one for the WAL. */
export const SENDERS_OF_STREAM = 2;

/** No segment takes so long that is on its way. */
const STALLED_MINUTES = 10;

const SENDERS_QUERY = `
  select coalesce(nullif(application_name, ''), 'pid ' || pid) as holder
  from pg_stat_replication order by pid`;

const UNLOGGED_QUERY = `
  select count(*)::int as count, min(oid::regclass::text) as example
  from pg_class where relpersistence = 'u' and relkind in ('r', 'm')`;

/** What goes on in the server now. */
export async function liveFindings(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  const checks = [senders, archiverFindings, unlogged, slotFindings];
  const findings: Finding[] = [];
  for (const check of checks) findings.push(...(await check(client, server)));
  return findings;
}

/** Who holds the WAL senders, by the names they gave. */
export async function senderHolders(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ holder: string }>(SENDERS_QUERY);
  return rows.map(({ holder }) => holder);
}

async function senders(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  // Said already, with both settings: with senders alone the server would not start at that level.
  if (server.walLevel === "minimal") return [];
  const holders = await senderHolders(client);
  const free = server.maxWalSenders - holders.length;
  if (free >= SENDERS_OF_STREAM) return [];
  const held = holders.length === 0 ? "" : `, held by ${holders.join(", ")}`;
  return [
    {
      id: "wal-senders-scarce",
      severity: "warning",
      summary: `${free} of ${server.maxWalSenders} WAL senders are free${held}; a backup needs one, with --wal stream two`,
      remedy: "alter system set max_wal_senders = 10; then restart the server",
    },
  ];
}

/** Why the archiver brings nothing now; empty where it works. */
export async function archiverFindings(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  // That nobody archives is said by what is configured.
  if (!server.archiving || isWithoutArchiver(server)) return [];
  const state = await readArchiver(client);
  if (!state.failing) return stalled(client, server, state);
  return [
    {
      id: "archive-failing",
      severity: "error",
      summary: `archive_command fails: ${state.failedCount} failures, last with ${state.lastFailedWal}`,
      remedy: "the server's log says what it printed; until it is mended, WAL piles up in pg_wal",
    },
  ];
}

/**
 * An archiver that neither stores nor fails: its command hangs, or it does not come up at all, with a library that cannot be loaded, or
 * with a command beside one (from 16 on). pg_stat_archiver then shows what it last did for ever.
 */
async function stalled(
  client: pg.Client,
  server: ServerFacts,
  { lastArchivedTime }: ArchiverState,
): Promise<Finding[]> {
  const waiting = await waitingSegments(client, server);
  const [oldest] = waiting;
  if (oldest === undefined) return [];
  const still = Math.max(oldest.since.getTime(), lastArchivedTime?.getTime() ?? 0);
  const minutes = Math.floor((server.clock.getTime() - still) / 60_000);
  if (minutes < STALLED_MINUTES) return [];
  return [
    {
      id: "archive-stalled",
      severity: "error",
      summary: `for ${minutes} minutes the archiver has neither stored a segment nor said that it failed, and ${waiting.length} wait, the oldest ${oldest.name}: WAL piles up in pg_wal`,
      remedy:
        "select pid from pg_stat_activity where backend_type = 'archiver'; where there is one, ps --ppid PID shows the archive_command that hangs: end that; where there is none, the server's log says why it does not start (archive_library, or archive_command set beside it)",
    },
  ];
}

/** Only this database's tables can be seen; that there are any is the point. */
async function unlogged(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<{ count: number; example: string }>(UNLOGGED_QUERY);
  const { count, example } = rows[0] ?? { count: 0, example: "" };
  if (count === 0) return [];
  return [
    {
      id: "unlogged-tables",
      severity: "warning",
      summary: `${count} unlogged tables in database ${client.database}, such as ${example}: no physical backup holds their rows`,
      remedy: `alter table ${example} set logged, where the rows matter`,
    },
  ];
}
