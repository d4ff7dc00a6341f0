import { type ExtractRequest, LifeboatError } from "@lifeboat/core";
import pg from "pg";
import { end } from "../connection/connection.ts";
import { serverFailure } from "../connection/failure.ts";
import type { PostgresDetails } from "../details.ts";
import {
  assertEmpty,
  assertTakes,
  connectTarget,
  describeTarget,
  targetName,
} from "../logical/target-database.ts";
import { extractPrograms, isDatabaseUrl, NAME_PART, tableNamed } from "./extract.ts";

/**
 * What an extraction takes, looked at before anything is fetched: the programs, and the database that it goes into. What only the copy
 * can tell, such as the schema of a table that is named without one, comes out once it has recovered.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND`; what connecting throws; kind `refused`: `TARGET_IS_STANDBY`, `TARGET_NOT_EMPTY`, `SERVER_TOO_OLD`;
 *   `TARGET_RIGHTS_MISSING`
 */
export async function assertExtractable(
  { name, into }: Pick<ExtractRequest, "name" | "into">,
  { serverVersion, database }: PostgresDetails,
  binDirectory: string | undefined,
): Promise<void> {
  const major = Math.trunc(serverVersion / 10_000);
  await extractPrograms(binDirectory, major);
  if (!isDatabaseUrl(into)) return;
  const client = await connectTarget(into);
  try {
    assertTakes(await describeTarget(client), String(major));
    await assertRights(client, name === database ? undefined : name);
    if (name === database) await assertEmpty(client);
    else await assertAbsent(client, name);
  } catch (cause) {
    throw serverFailure(cause, client);
  } finally {
    await end(client);
  }
}

/**
 * In the schema of `shop.sales.invoices` or `sales.invoices`, which is made where it is missing; else in which is not known yet, but in
 * one of them.
 */
const MAY_MAKE = `
  select $1::text is null or exists (select from pg_namespace where nspname = $1) as there,
         coalesce(
           (select has_schema_privilege(oid, 'CREATE') from pg_namespace where nspname = $1),
           has_database_privilege(current_database(), 'CREATE')
           or $1 is null and exists (select from pg_namespace
                                     where nspname !~ '^pg_' and nspname <> 'information_schema' and has_schema_privilege(oid, 'CREATE'))
         ) as may`;

async function assertRights(client: pg.Client, table: string | undefined): Promise<void> {
  const schema = await schemaNamed(client, table);
  const { rows } = await client.query<{ may: boolean; there: boolean }>(MAY_MAKE, [schema]);
  const { may, there } = rows[0] as (typeof rows)[number];
  if (may) return;
  const { user = "", database = "" } = client;
  const role = client.escapeIdentifier(user);
  throw new LifeboatError({
    code: "TARGET_RIGHTS_MISSING",
    message: there
      ? `role "${user}" may make no table in ${schema === null ? "" : `schema ${schema} of `}${targetName(client)}`
      : `${targetName(client)} has no schema ${schema}, and role "${user}" may not make it`,
    remedy: there
      ? `name another role by --into, or as the owner of the schema: grant create on schema ${client.escapeIdentifier(schema ?? "public")} to ${role}`
      : `name another role by --into, or as a superuser: create schema ${client.escapeIdentifier(schema ?? "")} authorization ${role}; where ${schema} is a database of the copy, write ${schema}.SCHEMA.TABLE`,
    details: { user, database },
  });
}

/** null where the name says none. */
async function schemaNamed(client: pg.Client, name: string | undefined): Promise<string | null> {
  if (name === undefined || (name.match(NAME_PART) ?? []).length < 2) return null;
  try {
    const { rows } = await client.query<{ parts: string[] }>("select parse_ident($1) as parts", [
      name,
    ]);
    return rows[0]?.parts.at(-2) ?? null;
  } catch (cause) {
    // No name as it stands in a statement; quoted as a whole it may still be a table's.
    if (cause instanceof pg.DatabaseError) return null;
    throw cause;
  }
}

const NAMED = `
  select pg_catalog.format('%I.%I', nspname, relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) relnamespace
  where c.oid operator(pg_catalog.=) `;

async function assertAbsent(client: pg.Client, name: string): Promise<void> {
  const standing = await standingAs(client, name);
  if (standing === undefined) return;
  throw new LifeboatError({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    message: `${targetName(client)} has ${standing} already, and nothing is put over it`,
    remedy: `rename that (alter table ${standing} rename to …), or name another database, or a file, by --into`,
    details: { database: client.database, holds: [standing] },
  });
}

/** A name without a schema is looked for on the target's own path; one of three parts begins with its database. */
async function standingAs(client: pg.Client, name: string): Promise<string | undefined> {
  const parts = name.match(NAME_PART) ?? [];
  const table = parts.length === 3 ? parts.slice(1).join(".") : name;
  await client.query("reset search_path");
  try {
    const { rows } = await client.query<{ name: string }>(
      `${NAMED}(${tableNamed(client.escapeLiteral(table))})`,
    );
    return rows[0]?.name;
  } catch (cause) {
    // What is no name of a table stands nowhere.
    if (cause instanceof pg.DatabaseError) return undefined;
    throw cause;
  }
}
