import type { ConnectionOptions } from "pg-connection-string";

/** The URL's parameters that libpq also takes from its environment. */
const PARAMETERS: Readonly<Record<string, string>> = {
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  channel_binding: "PGCHANNELBINDING",
  options: "PGOPTIONS",
};

/**
 * What lies in the environment of whoever runs us, is not heard by our own connections, and leads libpq to another server than they
 * reached (manual, "Environment Variables": a service's place goes before PGHOST, PGHOSTADDR is where a host is really looked for), or makes it write
 * in another encoding. Undefined takes it away.
 */
export const NOT_ELSEWHERE: Readonly<Record<string, undefined>> = {
  PGSERVICE: undefined,
  PGSERVICEFILE: undefined,
  PGHOSTADDR: undefined,
  PGTARGETSESSIONATTRS: undefined,
  PGCLIENTENCODING: undefined,
};

/** The variables of a program that is started with ours; undefined ones are taken away. */
export type ProgramEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * What a connection string gives the server's own programs and no variable does: a peer that is gone is noticed within a
 * minute, as on our own connections, and not after the system's two hours. Nothing of it is a secret.
 */
export const KEEP_ALIVE =
  "keepalives_idle=30 keepalives_interval=1 keepalives_count=10 tcp_user_timeout=60000";

/**
 * A connection as environment variables for the server's own programs, so that nothing of it, least
 * of all the password, stands in an argument list that every user of the host can read. Messages
 * come in English, since they are read.
 */
export function libpqEnvironment(options: ConnectionOptions): ProgramEnvironment {
  const environment: Record<string, string | undefined> = {
    ...NOT_ELSEWHERE,
    LC_ALL: "C",
    PGAPPNAME: "lifeboat",
  };
  const set = (name: string, value: unknown) => {
    if (typeof value === "string" && value !== "") environment[name] = value;
  };
  set("PGHOST", options.host);
  set("PGPORT", options.port);
  set("PGUSER", options.user);
  set("PGPASSWORD", options.password);
  for (const [parameter, name] of Object.entries(PARAMETERS)) set(name, options[parameter]);
  return environment;
}
