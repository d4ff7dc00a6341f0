import { LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { KEEP_ALIVE, libpqEnvironment } from "../basebackup/libpq-environment.ts";
import { end, parseConnectionUrl } from "../connection/connection.ts";
import { serverFailure } from "../connection/failure.ts";
import { missingTablespaces } from "../logical/dump-tablespaces.ts";
import { connectTarget } from "../logical/target-database.ts";
import { programPath, type ServerPrograms } from "../server/programs.ts";
import { runClient } from "./run-client.ts";

export interface Filling {
  readonly programs: ServerPrograms;
  /** The URL of the database. */
  readonly into: string;
  readonly signal: AbortSignal;
}

/**
 * Puts a dump into a database, all of it or nothing. A dump of tables brings neither their schemas nor tablespaces: schemas are made where they
 * are missing, and go again if the rest fails; where a tablespace is missing, all goes into the database's own.
 * @returns what was done besides, in words
 */
export async function fillTarget(
  { programs, into, signal }: Filling,
  schemas: readonly string[],
  dump: string,
): Promise<string[]> {
  const { made, missing } = await inTarget(into, async (client) => ({
    missing: await missingTablespaces(client, programs, dump, signal),
    made: await makeSchemas(client, schemas),
  }));
  try {
    await pgRestore({ programs, into, signal }, dump, missing.length > 0);
  } catch (cause) {
    await inTarget(into, (client) => dropSchemas(client, made)).catch(() => {
      throw withSchemasLeft(cause, made);
    });
    throw cause;
  }
  return [
    ...made.map((schema) => `schema ${schema} was made for it`),
    ...(missing.length === 0
      ? []
      : [
          `it lies in the database's own tablespace: the target has no tablespace ${missing.join(", ")}`,
        ]),
  ];
}

async function inTarget<T>(into: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectTarget(into);
  try {
    return await work(client);
  } catch (cause) {
    throw serverFailure(cause, client);
  } finally {
    await end(client);
  }
}

/** Those of these that were not there, in one transaction. */
async function makeSchemas(client: pg.Client, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select name from unnest($1::text[]) name
     where not exists (select from pg_namespace where nspname = name)`,
    [schemas],
  );
  const made = rows.map(({ name }) => name);
  await client.query(
    made.map((name) => `create schema ${client.escapeIdentifier(name)}`).join(";"),
  );
  return made;
}

/** Empty as they were made: what somebody has put there meanwhile stays. */
async function dropSchemas(client: pg.Client, made: readonly string[]): Promise<void> {
  await client.query(made.map((name) => `drop schema ${client.escapeIdentifier(name)}`).join(";"));
}

function withSchemasLeft(cause: unknown, made: readonly string[]): unknown {
  if (!(cause instanceof LifeboatError) || made.length === 0) return cause;
  const { code, kind, message, remedy, details } = cause;
  return new LifeboatError({
    ...{ code, kind, details, cause },
    message: `${message}; schema ${made.join(", ")} was made for it, and is left`,
    remedy: `${remedy}; drop the schema, if nothing needs it`,
  });
}

/** Owners and rights stay behind: the roles may not be there. */
async function pgRestore(
  { programs, into, signal }: Filling,
  dump: string,
  withoutTablespaces: boolean,
): Promise<void> {
  const options = parseConnectionUrl(into);
  const database = `dbname='${(options.database ?? "postgres").replace(/['\\]/g, (c) => `\\${c}`)}'`;
  const args = [
    "--single-transaction",
    "--exit-on-error",
    "--no-owner",
    "--no-privileges",
    "--no-password",
    ...(withoutTablespaces ? ["--no-tablespaces"] : []),
    `--dbname=${database} ${KEEP_ALIVE}`,
    dump,
  ];
  await runClient(programPath(programs, "pg_restore"), args, {
    signal,
    env: libpqEnvironment(options),
  });
}
