import type pg from "pg";
import { libpqEnvironment, type ProgramEnvironment } from "../basebackup/libpq-environment.ts";
import { parseConnectionUrl } from "../connection/connection.ts";

/**
 * The environment in which a client program reaches the very database that a connection of ours has reached:
 * what the URL leaves out, libpq would fill in otherwise than we do.
 */
export function clientEnvironment(url: string, client: pg.Client): ProgramEnvironment {
  return {
    ...libpqEnvironment(parseConnectionUrl(url)),
    PGHOST: client.host,
    PGPORT: String(client.port),
    PGUSER: client.user ?? "",
    PGDATABASE: client.database ?? "",
  };
}
