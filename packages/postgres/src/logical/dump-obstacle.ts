import { type ServerConnection, withClient } from "../connection/connection.ts";

/**
 * What keeps a role from dumping all of a database.
 * - `denied`: it may not read something
 * - `filtered`: policies keep rows from it
 * - `locked`: somebody has, or waits for, a table alone
 */
export type DumpObstacle = "denied" | "filtered" | "locked";

const OBSTACLES = `
  with own as (
    select c.oid, relnamespace, relkind from pg_class c join pg_namespace n on n.oid = relnamespace
    where nspname !~ '^pg_' and nspname <> 'information_schema' and relkind in ('r', 'p', 'm', 'v', 'S', 'f')
  )
  select exists (select from own where not has_schema_privilege(relnamespace, 'usage') or not has_table_privilege(oid, 'select')) as denied,
         exists (select from own where relkind in ('r', 'p') and row_security_active(oid)) as filtered,
         exists (select from own join pg_locks on relation = own.oid where mode = 'AccessExclusiveLock'
                   and database = (select oid from pg_database where datname = current_database())) as locked`;

/**
 * What stands in the way of a dump that has failed: asked for, since pg_dump passes on what the server said in that one's
 * language, and no SQLSTATE. Undefined where there is nothing of this, or the server does not answer any more.
 */
export async function dumpObstacle(
  connection: ServerConnection,
): Promise<DumpObstacle | undefined> {
  return withClient(connection, async (client) => {
    const { rows } = await client.query<Record<DumpObstacle, boolean>>(OBSTACLES);
    return (["denied", "filtered", "locked"] as const).find((each) => rows[0]?.[each] === true);
  }).catch(() => undefined);
}
