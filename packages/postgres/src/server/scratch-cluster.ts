import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { describeServer } from "../facts/server-facts.ts";
import { serverAccount } from "../files/account.ts";
import { initialiseCluster } from "./cluster.ts";
import { findPrograms } from "./programs.ts";
import { Scratch } from "./scratch.ts";
import { Server } from "./server.ts";
import { reachablePrograms } from "./staging.ts";

export interface ScratchClusterRequest {
  /** The server whose major version it shall have. */
  readonly like: ServerConnection;
  /** The one database that is made in it, empty. */
  readonly database: string;
  readonly signal: AbortSignal;
}

/** A running cluster of nobody's, on a private socket. */
export interface ScratchCluster {
  /** Its database as the superuser; without a password, since only this account and root reach the socket. */
  readonly url: string;
  readonly dataDirectory: string;
  /** Stops it and removes everything. May be called twice. */
  close(): Promise<void>;
}

/**
 * Makes an empty cluster of the same major version as a live server, starts it in private, and makes a database in
 * it. Nobody else can reach it, and it ends with this process, even by kill -9.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND`, `INITDB_FAILED`, `SERVER_ENDED`, and what keeps the live server from being asked
 */
export async function startScratchCluster(request: ScratchClusterRequest): Promise<ScratchCluster> {
  const { like, database, signal } = request;
  const { major } = await withClient(like, describeServer);
  const needs = ["postgres", "initdb"] as const;
  const found = await findPrograms({ binDirectory: like.binDirectory, major, needs });
  const account = await serverAccount();
  const { programs, release } = await reachablePrograms(found, account);
  const scratch = await Scratch.make(account);
  const dataDirectory = join(scratch.path, "data");
  let server: Server | undefined;
  const close = async () => {
    await server?.stop();
    await scratch.remove();
    await release();
  };
  try {
    signal.throwIfAborted();
    // Nobody comes by TCP; the password is only there so that none is guessed.
    const password = randomBytes(18).toString("hex");
    await initialiseCluster({ programs, account, dataDirectory, password });
    signal.throwIfAborted();
    server = await Server.start({ programs, account, dataDirectory, scratch });
    await server.accepting("postgres", signal);
    await createDatabase(server, database);
    return { url: urlOf(server, database), dataDirectory, close };
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function createDatabase(server: Server, database: string): Promise<void> {
  if (database === "postgres") return;
  const client = new pg.Client(server.clientConfig("postgres", "postgres"));
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

/** The socket's folder stands behind the question mark: a host with slashes is no host of a URL. */
function urlOf({ socketDirectory, port }: Server, database: string): string {
  const query = new URLSearchParams({ host: socketDirectory, port: String(port) });
  return `postgres://postgres@localhost/${encodeURIComponent(database)}?${query}`;
}
