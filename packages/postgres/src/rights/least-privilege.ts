import type { Finding } from "@lifeboat/core";
import type pg from "pg";
import { parseConnectionUrl, type ServerConnection } from "../connection/connection.ts";
import { localDirectory } from "../facts/local-directory.ts";
import type { ServerFacts } from "../facts/server-facts.ts";

/** What Lifeboat may call beside what pg_monitor gives, and what for. */
const BACKUP_MODE = ["pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"];
const SWITCH = "pg_switch_wal()";
const MARKS = [SWITCH, "pg_create_restore_point(text)"];
const SETTINGS = [
  "pg_read_binary_file(text)",
  "pg_show_all_file_settings()",
  "pg_hba_file_rules()",
  "pg_ident_file_mappings()",
];
/** `--transport parallel` from another host reads the files through the server. */
export const FILE_FUNCTIONS = [
  "pg_read_binary_file(text, bigint, bigint, boolean)",
  "pg_ls_dir(text, boolean, boolean)",
  "pg_stat_file(text, boolean)",
];

export interface RoleScript {
  readonly role: string;
  readonly database: string;
  /** The superuser that `postgres.url` names now, where the script is for another role. */
  readonly insteadOf?: string;
  /** The schema that a product is migrated into; left out where none is. */
  readonly migrateInto?: string;
  /** The product's own role, which must be there; a placeholder behind dashes where it is not known. */
  readonly appRole?: string;
}

/** The role and database of a connection URL, as the script needs them. */
export function roleOf(url: string): RoleScript {
  const { user, database } = parseConnectionUrl(url);
  return { role: user ?? "lifeboat", database: database ?? user ?? "postgres" };
}

/**
 * SQL that makes a role for Lifeboat with no more rights than it uses, to be run by a superuser in the
 * database that `postgres.url` names. May be run again.
 */
export function leastPrivilegeScript(script: RoleScript): string {
  const { role, database, insteadOf, migrateInto } = script;
  const name = quoted(role);
  const grant = (functions: readonly string[]) =>
    `grant execute on function ${functions.join(", ")} to ${name};`;
  return `-- To be run by a superuser, in database ${database} (functions are granted database by database).
${insteadOf === undefined ? "" : `-- postgres.url names ${quoted(insteadOf)}, a superuser, which Lifeboat need not be. Once this has run, let it name ${name}.\n`}do $$ begin
  if not exists (select from pg_roles where rolname = ${literal(role)}) then
    create role ${name};
  end if;
end $$;
-- Streams base backups and WAL. It reads no table. Give it a password: \\password ${role}
alter role ${name} login replication;

-- Sees settings, statistics, slots and sizes.
grant pg_monitor to ${name};
-- Begins a backup at once, in place of at the next checkpoint.
grant pg_checkpoint to ${name};

-- backup --transport parallel, and --jobs.
${grant(BACKUP_MODE)}

-- Recovery targets by name, and WAL that is to be archived at once.
${grant(MARKS)}

-- Settings files outside the data directory (/etc/postgresql) are kept with each backup.
grant pg_read_server_files to ${name};
${grant(SETTINGS)}
grant select on pg_file_settings, pg_hba_file_rules, pg_ident_file_mappings to ${name};

-- Only for --transport parallel from another host: the files are read through the server. Whoever has
-- this reads every row of every database, as whoever has a base backup does.
${grant(FILE_FUNCTIONS)}

-- Only for lifeboat export, which reads every table. Take the dashes away:
-- grant pg_read_all_data to ${name};
${migrateInto === undefined ? "" : migrationGrants(script, migrateInto)}
-- In pg_hba.conf, before any line that fits as well; then: select pg_reload_conf();
--   hostssl  replication  ${name}  ADDRESS/32  scram-sha-256
--   hostssl  ${quoted(database)}  ${name}  ADDRESS/32  scram-sha-256
`;
}

/** What `migrate` takes of a target: its tables are the role's own, and the product is given what it uses. */
function migrationGrants(script: RoleScript, schema: string): string {
  const { role, database } = script;
  const name = quoted(role);
  return `
-- lifeboat migrate: makes the product's tables in schema ${schema}, and its own in schema lifeboat.
grant connect, create, temporary on database ${quoted(database)} to ${name};
create schema if not exists ${quoted(schema)};
grant usage, create on schema ${quoted(schema)} to ${name};
-- Foreign keys stay in place while SQLite is followed; without it they are dropped, and made again at the end.
grant set on parameter session_replication_role to ${name};

${appGrants(script, schema)}`;
}

function appGrants({ role, appRole }: RoleScript, schema: string): string {
  // Its own tables it may use anyhow.
  if (appRole === role) return "";
  const product = appRole === undefined ? "PRODUCT" : quoted(appRole);
  const defaults = `alter default privileges for role ${quoted(role)} in schema ${quoted(schema)} grant`;
  const lines = [
    `${defaults} select, insert, update, delete on tables to ${product};`,
    `${defaults} usage, select on sequences to ${product};`,
    `grant usage on schema ${quoted(schema)} to ${product};`,
  ];
  if (appRole !== undefined)
    return `-- What the product's own role (migrate.appRole), which must be there, needs of tables that are loaded from now on.\n${lines.join("\n")}\n`;
  return `-- What the product's own role needs from the cutover on. Put its name in (better: in migrate.appRole), and take the dashes away:\n${lines.map((line) => `-- ${line}\n`).join("")}`;
}

/** Which rights the role lacks: for `--transport parallel`, and for a backup from a standby. Others show themselves. */
export async function grantFindings(
  { backupFrom }: ServerConnection,
  client: pg.Client,
  server: ServerFacts,
): Promise<Finding[]> {
  if (server.inRecovery) return [];
  const isLocal = (await localDirectory(server)) !== undefined;
  const parallel = isLocal ? BACKUP_MODE : [...BACKUP_MODE, ...FILE_FUNCTIONS];
  const findings: Finding[] = [];
  const lacking = await notAllowed(client, parallel);
  if (lacking.length > 0)
    findings.push({
      id: "grants-missing",
      severity: "info",
      ...missing(client, lacking, "which --transport parallel and --jobs need"),
    });
  // Needed when all is read, and only then: found now, nothing has been read for nothing.
  const ending = backupFrom === undefined ? [] : await notAllowed(client, [SWITCH]);
  if (ending.length > 0)
    findings.push({
      id: "switch-grant-missing",
      severity: "error",
      ...missing(client, ending, "with which a backup from a standby ends"),
    });
  return findings;
}

async function notAllowed(client: pg.Client, functions: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "select name from unnest($1::text[]) name where not has_function_privilege(name, 'execute')",
    [functions],
  );
  return rows.map(({ name }) => name);
}

function missing(client: pg.Client, functions: readonly string[], why: string) {
  const list = functions.join(", ");
  const role = quoted(client.user ?? "");
  return {
    summary: `role ${client.user} may not call ${list}, ${why}`,
    remedy: `as a superuser in database ${client.database}: grant execute on function ${list} to ${role}; lifeboat doctor --sql prints all that a role needs`,
  };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
