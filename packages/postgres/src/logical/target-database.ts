import { LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { connect } from "../connection/connection.ts";
import { nameOf } from "../connection/failure.ts";

/** The database that a dump is loaded into. */
export interface TargetDatabase {
  readonly database: string;
  readonly major: number;
  /** As the server prints it: `18.4`. */
  readonly version: string;
}

/**
 * Connects to the database that `--into` names.
 * @throws LifeboatError as `connect` does, in words for that option
 */
export async function connectTarget(into: string): Promise<pg.Client> {
  try {
    return await connect({ url: into });
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    const { code, kind, details, cause } = thrown;
    const [message, remedy] = [thrown.message, thrown.remedy].map((words) =>
      words.replaceAll("postgres.url", "--into"),
    ) as [string, string];
    throw new LifeboatError({ code, kind, message, remedy, details, cause });
  }
}

/** Serialises imports into one database: they would fill it together. */
const LOCK = "select pg_try_advisory_lock(hashtext('lifeboat import')) as mine";

/**
 * What makes a database more than empty, each thing with its kind. What belongs to an extension counts as
 * little as the extension: a dump makes that only where it is not there yet.
 */
const HOLDS = `
  with spaces as (
    select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
  ), things(kind, class, oid, name) as (
    select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                        when 'f' then 'foreign table' when 'c' then 'type' else 'table' end,
           'pg_class'::regclass, c.oid, format('%I.%I', nspname, relname)
      from pg_class c join spaces n on n.oid = relnamespace where relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    union all
    select 'function', 'pg_proc'::regclass, p.oid, format('%I.%I', nspname, proname)
      from pg_proc p join spaces n on n.oid = pronamespace
    union all
    select 'type', 'pg_type'::regclass, t.oid, format('%I.%I', nspname, typname)
      from pg_type t join spaces n on n.oid = typnamespace where typtype in ('e', 'd', 'r')
    union all
    select 'schema', 'pg_namespace'::regclass, oid, format('%I', nspname)
      from spaces where nspname <> 'public'
    union all
    select 'large object', 'pg_largeobject'::regclass, oid, oid::text from pg_largeobject_metadata
  )
  select kind, count(*)::int as count, (array_agg(name order by name))[1] as example
  from things
  where not exists (
    select from pg_depend d where d.classid = class and d.objid = things.oid and d.deptype = 'e'
  )
  group by kind order by kind`;

/** What a database holds, in words such as `2 tables (public.orders …)`; empty when it holds nothing. */
export async function holdings(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ kind: string; count: number; example: string }>(HOLDS);
  return rows.map(({ kind, count, example }) =>
    count === 1 ? `1 ${kind} (${example})` : `${count} ${kind}s (${example} …)`,
  );
}

/** @throws LifeboatError `TARGET_IS_STANDBY` (kind `refused`) */
export async function describeTarget(client: pg.Client): Promise<TargetDatabase> {
  const { rows } = await client.query<{ version: string; number: number; standby: boolean }>(
    `select current_setting('server_version') as version,
            current_setting('server_version_num')::int as number, pg_is_in_recovery() as standby`,
  );
  const { version, number, standby } = rows[0] as (typeof rows)[number];
  const database = client.database ?? "";
  if (standby)
    throw new LifeboatError({
      code: "TARGET_IS_STANDBY",
      kind: "refused",
      message: `${nameOf(client)} is a standby, which takes no writes`,
      remedy: "name its primary by --into",
      details: { database },
    });
  return {
    database,
    major: Math.floor(number / 10_000),
    version: version.split(" ")[0] ?? version,
  };
}

/**
 * The same, and keeps others from importing into it for as long as the connection lasts.
 * @throws LifeboatError `TARGET_NOT_EMPTY`, `TARGET_IS_STANDBY` (kind `refused`), `LOCKED` (kind `locked`)
 */
export async function takeTarget(client: pg.Client): Promise<TargetDatabase> {
  const target = await describeTarget(client);
  const { database } = target;
  const [lock] = (await client.query<{ mine: boolean }>(LOCK)).rows;
  if (!lock?.mine)
    throw new LifeboatError({
      code: "LOCKED",
      kind: "locked",
      message: `another import into ${targetName(client)} is running`,
      remedy: "wait until it has ended",
      details: { database },
    });
  await assertEmpty(client);
  return target;
}

/** @throws LifeboatError `TARGET_NOT_EMPTY` (kind `refused`) */
export async function assertEmpty(client: pg.Client): Promise<void> {
  const holds = await holdings(client);
  if (holds.length > 0)
    throw new LifeboatError({
      code: "TARGET_NOT_EMPTY",
      kind: "refused",
      message: `${targetName(client)} is not empty: it holds ${holds.join(", ")}`,
      remedy: "name an empty database, or make one: create database NAME template template0",
      details: { database: client.database, holds },
    });
}

/**
 * A dump would be stumbled over in the midst of it by an older server that does not know all of it.
 * @param written the version of what wrote the dump: `18.4`
 * @throws LifeboatError `SERVER_TOO_OLD` (kind `refused`)
 */
export function assertTakes({ major, version }: TargetDatabase, written: string): void {
  if (major >= Number.parseInt(written, 10)) return;
  throw new LifeboatError({
    code: "SERVER_TOO_OLD",
    kind: "refused",
    message: `the target is PostgreSQL ${version}, and this dump was written by pg_dump ${written}: an older server may not take it`,
    remedy: `name a server of version ${Number.parseInt(written, 10)} or newer by --into`,
    details: { server: version, dump: written },
  });
}

/** As messages name it. */
export function targetName(client: pg.Client): string {
  return `database "${client.database ?? ""}" on ${nameOf(client)}`;
}

/** What was loaded: tables, partitioned ones and partitions each for itself. */
export async function countTables(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from pg_class c join pg_namespace n on n.oid = relnamespace
     where relkind in ('r', 'p') and nspname !~ '^pg_' and nspname <> 'information_schema'
       and not exists (select from pg_depend d
                       where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`,
  );
  return rows[0]?.count ?? 0;
}
