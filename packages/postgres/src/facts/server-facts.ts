import { isAbsolute } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

export interface ServerTablespace {
  readonly oid: number;
  /** Absolute, or below the data directory (`pg_tblspc/…`) for one that was made in place. */
  readonly location: string;
}

/** Whether it was made in place, in the data directory (`allow_in_place_tablespaces`). */
export function isInPlace({ location }: ServerTablespace): boolean {
  return !isAbsolute(location);
}

/** What a backup needs to know of a live server. */
export interface ServerFacts {
  /** `server_version_num`: 150018. */
  readonly version: number;
  readonly major: number;
  readonly systemIdentifier: string;
  /** Of its last checkpoint. */
  readonly timeline: number;
  readonly inRecovery: boolean;
  readonly walLevel: string;
  readonly walSegmentBytes: number;
  readonly maxWalSenders: number;
  readonly checksums: boolean;
  /** It was built with zstd. */
  readonly knowsZstd: boolean;
  /** Archiving is on: `archive_mode` is `on` or `always`. */
  readonly archiving: boolean;
  readonly archiveCommand: string;
  readonly archiveLibrary: string;
  /** Seconds after which a segment that is not full is archived; 0: only full ones are. */
  readonly archiveTimeout: number;
  readonly synchronousStandbys: string;
  /** What replication slots may hold back (`max_slot_wal_keep_size`); null for no bound. */
  readonly slotKeepsBytes: number | null;
  readonly tablespaces: readonly ServerTablespace[];
  /** Settings that only a member of pg_read_all_settings may see; null when the role is none. */
  readonly dataDirectory: string | null;
  readonly settingsFiles: {
    readonly config_file: string;
    readonly hba_file: string;
    readonly ident_file: string;
  } | null;
  /** The server's clock, read now. */
  readonly clock: Date;
  /** When this run of the server began, by its clock, to the microsecond: `2026-11-28T06:40:58.123456Z`. */
  readonly startedAt: string;
}

/** Units are the settings' own: `wal_segment_size` is in bytes, `max_slot_wal_keep_size` in MiB. */
const SETTINGS_QUERY = `
  select name, setting, enumvals as choices from pg_settings
  where name in ('server_version_num', 'wal_level', 'wal_segment_size', 'max_wal_senders',
                 'data_checksums', 'archive_mode', 'archive_command', 'archive_library', 'archive_timeout',
                 'synchronous_standby_names', 'data_directory', 'config_file', 'hba_file',
                 'ident_file', 'wal_compression', 'max_slot_wal_keep_size')`;

const STATE_QUERY = `
  select system_identifier::text as "systemIdentifier",
         pg_is_in_recovery() as "inRecovery",
         clock_timestamp() as clock,
         to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "startedAt",
         timeline_id as timeline
  from pg_control_system(), pg_control_checkpoint()`;

/** The two that lie in the data directory itself are left out. */
const TABLESPACES_QUERY = `
  select oid::int8::text as oid, pg_tablespace_location(oid) as location
  from pg_tablespace
  where spcname not in ('pg_default', 'pg_global')
  order by pg_tablespace.oid`;

/** Asks a server about itself. Any role may. */
export async function describeServer(client: pg.Client): Promise<ServerFacts> {
  const { rows } = await client.query<{ name: string; setting: string; choices: string[] | null }>(
    SETTINGS_QUERY,
  );
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]));
  const setting = (name: string) => settings.get(name) ?? "";
  const state = (await client.query(STATE_QUERY)).rows[0] as Pick<
    ServerFacts,
    "systemIdentifier" | "inRecovery" | "clock" | "startedAt" | "timeline"
  >;
  const version = Number(setting("server_version_num"));
  return {
    ...state,
    version,
    major: Math.floor(version / 10_000),
    walLevel: setting("wal_level"),
    walSegmentBytes: Number(setting("wal_segment_size")),
    maxWalSenders: Number(setting("max_wal_senders")),
    checksums: setting("data_checksums") === "on",
    knowsZstd: rows.some(({ choices }) => choices?.includes("zstd")),
    archiving: setting("archive_mode") !== "off",
    archiveCommand: setting("archive_command").replace(/^\(disabled\)$/, ""),
    archiveLibrary: setting("archive_library"),
    archiveTimeout: Number(setting("archive_timeout")),
    synchronousStandbys: setting("synchronous_standby_names"),
    slotKeepsBytes: mebibytes(setting("max_slot_wal_keep_size")),
    tablespaces: await readTablespaces(client),
    dataDirectory: settings.get("data_directory") ?? null,
    settingsFiles: settingsFilesOf(settings),
  };
}

/** Less than none is no bound. */
function mebibytes(setting: string): number | null {
  return Number(setting) < 0 ? null : Number(setting) * 2 ** 20;
}

/** Asked again so long while one is on its way out: its folder goes before it leaves the catalog. */
const DROP_TRIES = 20;
const DROP_POLL_MS = 100;
const UNDEFINED_FILE = "58P01";

/** Those outside the data directory, and those that were made in place. Any role may ask. */
export async function readTablespaces(client: pg.Client): Promise<ServerTablespace[]> {
  for (let tries = 1; ; tries++)
    try {
      const { rows } = await client.query<{ oid: string; location: string }>(TABLESPACES_QUERY);
      return rows.map(({ oid, location }) => ({ oid: Number(oid), location }));
    } catch (thrown) {
      const isGone = thrown instanceof pg.DatabaseError && thrown.code === UNDEFINED_FILE;
      if (!isGone || tries === DROP_TRIES) throw thrown;
      await delay(DROP_POLL_MS);
    }
}

function settingsFilesOf(settings: ReadonlyMap<string, string>): ServerFacts["settingsFiles"] {
  const config = settings.get("config_file");
  const hba = settings.get("hba_file");
  const ident = settings.get("ident_file");
  if (config === undefined || hba === undefined || ident === undefined) return null;
  return { config_file: config, hba_file: hba, ident_file: ident };
}
