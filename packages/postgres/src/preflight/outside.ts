import { isAbsolute, relative } from "node:path";
import type { Finding } from "@lifeboat/core";
import type pg from "pg";
import type { ServerFacts } from "../facts/server-facts.ts";

/** What is to be known of an extension when the cluster is copied. */
const EXTENSIONS: readonly (readonly [name: RegExp, what: string, remedy: string])[] = [
  [
    /^pg_cron$/,
    "its jobs are in the cluster, and a copy that is started runs them a second time",
    "start a copy beside the original with -c shared_preload_libraries='' (restore --replay and drill do so)",
  ],
  [
    /^pg_repack$/,
    "a run that was killed leaves tables and triggers named repack.…, and a backup holds them",
    "drop extension pg_repack cascade; create extension pg_repack; removes them",
  ],
  [
    /^timescaledb$/,
    "its jobs run in a copy too, and a copy opens only where the very same version of the library is installed",
    "note its version with the backup: select extversion from pg_extension where extname = 'timescaledb'",
  ],
  [
    /_fdw$|^dblink$/,
    "its tables lie in another server: no backup of this one holds their rows",
    "back up the other server as well; a copy beside the original still writes to it",
  ],
  [
    /^(plpython3u|plperlu|pljava|file_fdw|adminpack)$/,
    "what its functions read from the host's disk is in no backup",
    "list those files in postgres.extraPaths, or keep them in your deployment",
  ],
];

/**
 * Extensions are made database by database, and only the one that we are connected to can be asked. Those with workers
 * (pg_cron lives in a database of its own) are preloaded by the whole server.
 */
const EXTENSIONS_QUERY = `
  select extname as name, true as here from pg_extension
  union
  select trim(both ' "' from regexp_replace(library, '^.*/', '')), false
  from pg_settings, lateral unnest(string_to_array(setting, ',')) library
  where pg_settings.name = 'shared_preload_libraries'
  order by name, here desc`;

/** Settings that may name a file or a folder outside; those that the backup keeps anyway are left out. */
const PATHS_QUERY = `
  select name, setting as path from pg_settings
  where setting like '/%' and name not like '%_command' and name not in
    ('data_directory', 'config_file', 'hba_file', 'ident_file', 'unix_socket_directories', 'external_pid_file')
  order by 1`;

/** What belongs to the database and lies where no base backup looks. */
export async function outsideFindings(client: pg.Client, server: ServerFacts): Promise<Finding[]> {
  return [...(await extensions(client)), ...(await paths(client, server))];
}

async function extensions(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<{ name: string; here: boolean }>(EXTENSIONS_QUERY);
  const seen = new Set<string>();
  return rows.flatMap(({ name, here }) => {
    const known = EXTENSIONS.find(([pattern]) => pattern.test(name));
    if (!known || seen.has(name)) return [];
    seen.add(name);
    const [, what, remedy] = known;
    return [
      {
        id: "extension-keeps-state",
        severity: "info" as const,
        summary: `extension ${name} ${here ? `in database ${client.database}` : "(its library is preloaded)"}: ${what}`,
        remedy,
      },
    ];
  });
}

async function paths(client: pg.Client, { dataDirectory }: ServerFacts): Promise<Finding[]> {
  if (dataDirectory === null) return [];
  const { rows } = await client.query<{ name: string; path: string }>(PATHS_QUERY);
  const outside = rows.filter(({ path }) => {
    const way = relative(dataDirectory, path);
    return way.startsWith("..") || isAbsolute(way);
  });
  if (outside.length === 0) return [];
  return [
    {
      id: "paths-outside",
      severity: "info",
      summary: `settings name what lies outside the data directory: ${outside.map(({ name, path }) => `${name} = ${path}`).join(", ")}`,
      remedy:
        "a copy on another host needs them there too; keys and certificates are in no backup unless postgres.extraPaths lists them",
    },
  ];
}
