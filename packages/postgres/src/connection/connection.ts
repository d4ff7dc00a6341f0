import { TLSSocket } from "node:tls";
import { LifeboatError, reasonOf } from "@lifeboat/core";
import pg from "pg";
import { type ConnectionOptions, parse, toClientConfig } from "pg-connection-string";
import { connectionFailure, type Place, serverFailure } from "./failure.ts";
import { takeSession } from "./own-session.ts";
import { storedPassword } from "./password.ts";
import { BACKEND_QUERY, type Backend, backendOf, SILENCE_MS, watchSilence } from "./silence.ts";

/** The live server, as the configuration names it. */
export interface ServerConnection {
  /** `postgres://user@host:port/database`; may hold a password, which never leaves it. */
  readonly url: string;
  /** The data directory, where the server runs on this host. */
  readonly dataDirectory?: string;
  /** The folder of the server's programs; found when left out. */
  readonly binDirectory?: string;
  /** A standby that base backups are read from, to spare the primary; a URL as well. */
  readonly backupFrom?: string;
  /** Files and folders outside the data directory that are kept with each backup. Absolute. */
  readonly extraPaths?: readonly string[];
  /** How long a server that owes an answer may say nothing before it is asked about; a minute when left out. */
  readonly silenceMs?: number;
}

/** A server that is there answers sooner. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A connection that is quiet for so long is probed; ten probes without an answer, a second apart, end it. */
const KEEP_ALIVE_MS = 30_000;
/** A server that is told goodbye hangs up at once; one that does not hear it never does. */
const GOODBYE_MS = 5_000;

/**
 * Reads a connection URL.
 * @throws LifeboatError `CONNECTION_URL_INVALID` (kind `usage`); the URL is not repeated, it may hold a password
 */
export function parseConnectionUrl(url: string): ConnectionOptions {
  // The parser takes anything for a path below a host of its own.
  if (!/^(postgres(ql)?|socket):/.test(url)) throw badUrl("it begins with no postgres://");
  try {
    return parse(url);
  } catch (cause) {
    throw badUrl(reasonOf(cause).replaceAll(url, "…"));
  }
}

function badUrl(why: string): LifeboatError {
  return new LifeboatError({
    code: "CONNECTION_URL_INVALID",
    kind: "usage",
    message: `postgres.url is not a connection URL: ${why}`,
    remedy: "write it as postgres://user@host:5432/database",
  });
}

/**
 * Connects for SQL, with settings of our own. The password comes from the URL, PGPASSWORD or the password file.
 * @throws LifeboatError as {@link connectionFailure} words it
 */
export function connect(connection: ServerConnection): Promise<pg.Client> {
  return open(connection, {});
}

/**
 * Connects as a WAL sender, for replication commands.
 * @param name what pg_stat_replication and synchronous_standby_names call it
 * @throws LifeboatError as {@link connectionFailure} words it
 */
export function connectForReplication(
  connection: ServerConnection,
  name = "lifeboat",
): Promise<pg.Client> {
  return open(connection, { replication: "true", application_name: name });
}

/**
 * Connects for SQL, runs, and hangs up whatever happens.
 * @throws LifeboatError `SERVER_LOST`, `STATEMENT_FAILED` for what the server's side makes fail
 */
export async function withClient<T>(
  connection: ServerConnection,
  run: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(connection);
  try {
    return await run(client);
  } catch (cause) {
    throw serverFailure(cause, client);
  } finally {
    await end(client);
  }
}

/** Ends a connection in order, or hangs up where nobody hears that it shall end. */
export async function end(client: pg.Client): Promise<void> {
  const impatient = setTimeout(() => hangUp(client), GOODBYE_MS);
  await client.end().finally(() => clearTimeout(impatient));
}

/** Ends a connection at once, also in the midst of a command: the server cleans up behind it. */
export function hangUp(client: pg.Client): void {
  client.connection.stream.destroy();
}

async function open(connection: ServerConnection, extra: Extra): Promise<pg.Client> {
  const client = await opened(connection, extra);
  const { silenceMs = SILENCE_MS } = connection;
  watchSilence(client, {
    silenceMs,
    ask: (pid) => askAbout(pid, connection, silenceMs),
  });
  // A WAL sender takes no statements, and calls nothing that a database holds.
  if (extra.replication !== undefined) return client;
  try {
    await takeSession(client);
    return client;
  } catch (cause) {
    hangUp(client);
    throw serverFailure(cause, client);
  }
}

/** Of a server that says no (it has no connection left) nothing is known but that it is there. */
async function askAbout(
  pid: number,
  connection: ServerConnection,
  silenceMs: number,
): Promise<Backend | undefined> {
  const patience = Math.min(CONNECT_TIMEOUT_MS, silenceMs);
  const timeouts = {
    connectionTimeoutMillis: patience,
    query_timeout: patience,
  };
  let asking: pg.Client | undefined;
  try {
    asking = await opened(connection, timeouts);
    await takeSession(asking);
    const { processID } = asking as pg.Client & { processID: number | null };
    const { rows } = await asking.query(BACKEND_QUERY, [pid, processID]);
    return backendOf(rows[0]);
  } catch (cause) {
    const answers = cause instanceof LifeboatError && cause.code !== "SERVER_UNREACHABLE";
    return answers || cause instanceof pg.DatabaseError ? "unknown" : undefined;
  } finally {
    if (asking) hangUp(asking);
  }
}

type Extra = Pick<
  pg.ClientConfig,
  "application_name" | "connectionTimeoutMillis" | "query_timeout"
> & { readonly replication?: "true" };

async function opened(connection: ServerConnection, extra: Extra): Promise<pg.Client> {
  const options = parseConnectionUrl(connection.url);
  const client = new pg.Client({
    ...toClientConfig(options),
    application_name: "lifeboat",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...extra,
    keepAlive: true,
    // The system's own two hours are long for a backup that waits for a host that is gone.
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  });
  const place = placeOf(client);
  client.password ??= await storedPassword(place, extra.replication !== undefined);
  // A connection that breaks while idle would else end the process; the next query reports it.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (cause) {
    throw connectionFailure(cause, {
      ...place,
      replication: extra.replication !== undefined,
      encrypted: client.connection.stream instanceof TLSSocket,
    });
  }
  return client;
}

function placeOf(client: pg.Client): Place {
  return {
    host: client.host,
    port: client.port,
    user: client.user ?? "",
    database: client.database ?? "",
  };
}
