import { randomBytes } from "node:crypto";
import pg from "pg";

/** That every installation has: there is no way to set a list of none for a role. */
const A_LIBRARY = "plpgsql";

/** Of the extensions' functions, those that check what is stored and that only superusers may call by default. */
const GRANTS_QUERY = `
  select format('grant execute on function %s to %I', p.oid::regprocedure, $1::text) as grant
  from pg_extension e
  join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
  join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
  where e.extname = 'amcheck'`;

/**
 * Makes a role in a restored copy for statements that name the product's tables: it reads all rows of all tables, calls what everybody may
 * call, and is no superuser. A table's owner can put a view or a function in its place, and would have a superuser run what he likes: with
 * COPY TO PROGRAM any command of this host (manual, "Predefined Roles", and CVE-2018-1058 for names without a schema).
 * @param client the copy's superuser, under a path of our own
 * @returns its name
 */
export async function makeReader(client: pg.Client): Promise<string> {
  const role = `lifeboat_reader_${randomBytes(6).toString("hex")}`;
  await client.query(`create role ${role} login bypassrls`);
  await client.query(`grant pg_read_all_data, pg_monitor to ${role}`);
  return role;
}

/**
 * Prepares one database for it.
 * @param settings what its sessions begin with, whatever the database is set to: most of them only a superuser may set. Lists of none are left out
 */
export async function admitReader(
  client: pg.Client,
  role: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const database = pg.escapeIdentifier(client.database ?? "");
  const set = { ...settings, session_preload_libraries: A_LIBRARY };
  for (const [name, value] of Object.entries(set))
    if (value !== "")
      await client.query(
        `alter role ${role} in database ${database} set ${name} = ${pg.escapeLiteral(value)}`,
      );
  await client.query(`grant connect on database ${database} to ${role}`);
  const { rows } = await client.query<{ grant: string }>(GRANTS_QUERY, [role]);
  for (const { grant } of rows) await client.query(grant);
}
