import { LifeboatError } from "@lifeboat/core";
import pg from "pg";
import type { TargetAddress } from "../request.ts";
import { assertOwnSession } from "./assert-own-session.ts";
import { breakOnAbort, endConnection } from "./break-connection.ts";
import { unreachable } from "./unreachable.ts";

/** A host that answers nothing would else be waited for as long as its network stack likes. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A server that has let us in, and then says nothing, is waited for as long again. */
const PREPARE_TIMEOUT_MS = 2 * CONNECT_TIMEOUT_MS;

/** What our sessions are called in the server's views; one that follows, and lets go for whoever takes over, has a name of its own. */
export const SESSION_NAME = "lifeboat migrate";
export const SYNC_SESSION_NAME = `${SESSION_NAME} sync`;

/** A setting of our sessions alone, by which the refusals in the target tell them from the product's. */
export const OWN_SESSION = "lifeboat.own_session";

/**
 * Connects to the target with settings under which texts, instants and numbers are spelled one way.
 * @param signal ends it at once, with its reason: nothing was begun there
 * @throws LifeboatError `POSTGRES_UNREACHABLE`, `POOLED_CONNECTION`, `TARGET_ENCODING`, `TARGET_TOO_OLD`
 */
export async function connectTarget(
  address: TargetAddress,
  signal?: AbortSignal,
): Promise<pg.Client> {
  signal?.throwIfAborted();
  const client = clientOf(address);
  const late = AbortSignal.timeout(PREPARE_TIMEOUT_MS);
  const isOver = signal ? AbortSignal.any([signal, late]) : late;
  using _ = breakOnAbort(client, isOver, 0);
  try {
    await connect(client);
    await assertOwnSession(client, async () => {
      const other = clientOf(address);
      breakOnAbort(other, isOver, 0);
      return await connect(other);
    });
    await prepareSession(client);
    signal?.throwIfAborted();
    return client;
  } catch (cause) {
    await endConnection(client);
    signal?.throwIfAborted();
    throw late.aborted ? unreachable(silent()) : cause;
  }
}

function clientOf({ url }: TargetAddress): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    application_name: SESSION_NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A server that goes away is reported by the query that runs; without a listener it would end the process.
  client.on("error", () => undefined);
  return client;
}

async function connect(client: pg.Client): Promise<pg.Client> {
  try {
    await client.connect();
  } catch (cause) {
    throw unreachable(cause);
  }
  return client;
}

function silent(): Error {
  return new Error(`it took the connection, and said nothing for ${PREPARE_TIMEOUT_MS / 1000} s`);
}

async function prepareSession(client: pg.Client): Promise<void> {
  await client.query(
    `SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1; SET bytea_output = 'hex';
     SET standard_conforming_strings = on; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
     SET quote_all_identifiers = off; SET lock_timeout = 0; SET default_transaction_isolation = 'read committed';
     SET default_transaction_deferrable = off; SET ${OWN_SESSION} = on; SET search_path = pg_catalog`,
  );
  // A client that vanished with its network holds its locks until the server has noticed: by itself after hours.
  await client.query(
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3",
  );
  // Limits that only newer servers know; and a commit that is told must be one that lasts.
  await client.query(
    `SELECT set_config(name, CASE name WHEN 'synchronous_commit' THEN 'on' ELSE '0' END, false) FROM pg_settings
     WHERE name IN ('transaction_timeout', 'idle_session_timeout') OR (name = 'synchronous_commit' AND setting = 'off')`,
  );
  const { rows } = await client.query<{ encoding: string; version: string }>(
    "SELECT current_setting('server_encoding') AS encoding, current_setting('server_version_num') AS version",
  );
  const [facts] = rows;
  if (Number(facts?.version) < 150_000)
    throw new LifeboatError({
      code: "TARGET_TOO_OLD",
      kind: "usage",
      message: `the target runs Postgres ${facts?.version}, older than 15`,
      remedy: "migrate into Postgres 15 or newer",
    });
  if (facts?.encoding !== "UTF8")
    throw new LifeboatError({
      code: "TARGET_ENCODING",
      kind: "usage",
      message: `the target database is encoded in ${facts?.encoding}, which can't hold every text of SQLite`,
      remedy: "create the database with ENCODING 'UTF8' TEMPLATE template0",
    });
  await endWithClient(client);
}

/**
 * Lets the server notice within a second that its client was killed, also in the middle of an index
 * build, so that a second run need not wait for the first one's transaction.
 */
async function endWithClient(client: pg.Client): Promise<void> {
  try {
    await client.query("SET client_connection_check_interval = '1s'");
  } catch (cause) {
    // Not every system can watch a connection (manual, "client_connection_check_interval").
    if ((cause as { code?: string }).code !== "22023") throw cause;
  }
}
