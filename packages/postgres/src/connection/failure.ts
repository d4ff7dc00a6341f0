import { isIP } from "node:net";
import { LifeboatError, reasonOf } from "@lifeboat/core";

/** A server and who asks, without any secret. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

interface Attempt extends Place {
  readonly replication: boolean;
  /** Whether TLS was spoken; left out where it is not known. */
  readonly encrypted?: boolean;
}

/** What a refusal is told by: the text is in the server's own language (`lc_messages`), its SQLSTATE and the routine that refused are in none. */
interface Refusal {
  readonly code: string;
  readonly routine: string;
  readonly text: string;
}

interface Reading {
  readonly code: string;
  readonly matches: (refusal: Refusal, attempt: Attempt) => boolean;
  readonly message: (attempt: Attempt, text: string) => string;
  readonly remedy: (attempt: Attempt, text: string) => string;
}

const UNREACHABLE = [
  "ECONNREFUSED",
  "ENOENT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "ECONNRESET",
  "EACCES",
];

const HOT_STANDBY_OFF =
  "a standby with hot_standby = off takes none: name its primary, or set it to on and restart the standby";

/** How servers from 15 to 18 say that a connection is refused, and what to do about it. */
const READINGS: readonly Reading[] = [
  {
    code: "SENDERS_EXHAUSTED",
    // Too many connections at all are refused elsewhere, before it is known that a sender is asked for.
    matches: ({ code, routine }, { replication }) =>
      replication && code === "53300" && routine === "InitProcess",
    message: (at, text) => `${nameOf(at)} has no free WAL sender: ${text}`,
    // With senders, and wal_level still at minimal, the server would not start any more.
    remedy: (_, text) =>
      // The one number in it is that of the setting: "(currently 0)".
      /(?<!\d)0(?!\d)/.test(text)
        ? "alter system set max_wal_senders = 10; where show wal_level says minimal, alter system set wal_level = replica as well; then restart the server"
        : "raise it and restart the server: alter system set max_wal_senders = 10 (a backup needs one, with --wal stream two); select * from pg_stat_replication shows who holds them",
  },
  {
    code: "REPLICATION_DENIED",
    matches: ({ code, routine }, { replication }) =>
      replication && code === "42501" && routine === "InitPostgres",
    message: (at) => `role "${at.user}" may not start a WAL sender on ${nameOf(at)}`,
    remedy: (at) => `as a superuser: alter role ${quoted(at.user)} replication`,
  },
  {
    code: "HBA_ENTRY_MISSING",
    // Every language leaves the file its name.
    matches: ({ code, text }) => code === "28000" && text.includes("pg_hba.conf"),
    message: (at, text) => `${nameOf(at)} admits no such connection: ${text}`,
    remedy: (at, text) => `add to pg_hba.conf: ${hbaLine(at, text)}; then: select pg_reload_conf()`,
  },
  {
    code: "ROLE_MISSING",
    // One that may not log in is refused in the same place.
    matches: ({ code, routine }) => code === "28000" && routine === "InitializeSessionUserId",
    message: (at, text) =>
      `there is no role "${at.user}" that may log in on ${nameOf(at)}: ${text}`,
    remedy: (at) =>
      `check the user in postgres.url; lifeboat doctor --sql prints the script that makes the role, for a superuser; where it is there: alter role ${quoted(at.user)} login`,
  },
  {
    code: "AUTHENTICATION_FAILED",
    matches: ({ code, text }, { host }) => code === "28000" && isByAccount(text, host),
    message: (at, text) =>
      `${nameOf(at)} admits role "${at.user}" only to the account of the same name: ${text}`,
    remedy: (at) =>
      `run this as that account (su ${at.user} -s /bin/sh -c '…'), or name another way of authentication in pg_hba.conf`,
  },
  {
    code: "AUTHENTICATION_FAILED",
    matches: ({ text }) => /client password must be a string|no password supplied/i.test(text),
    message: (at) => `${nameOf(at)} wants a password for role "${at.user}", and none was given`,
    remedy: () =>
      "put it into the password file (~/.pgpass or PGPASSFILE, mode 0600) or PGPASSWORD",
  },
  {
    code: "AUTHENTICATION_FAILED",
    matches: ({ code, text }) =>
      code === "28P01" ||
      code === "28000" ||
      /client password must be a string|SASL|password/i.test(text),
    message: (at) => `${nameOf(at)} does not accept role "${at.user}" with the password given`,
    remedy: () =>
      "put the right password into the password file (~/.pgpass or PGPASSFILE, mode 0600) or PGPASSWORD",
  },
  {
    code: "SERVER_STARTING",
    matches: ({ code }) => code === "57P03",
    message: (at, text) => `${nameOf(at)} accepts no connections now: ${text}`,
    // A standby says so for ever where hot_standby is off, and before it is consistent: only the words differ.
    remedy: (_, text) => {
      if (/is not accepting connections/.test(text)) return HOT_STANDBY_OFF;
      const wait = "wait until it has started, then run this again";
      return /^the database system is /.test(text) ? wait : `${wait}; ${HOT_STANDBY_OFF}`;
    },
  },
  {
    code: "CONNECTIONS_EXHAUSTED",
    matches: ({ code }) => code === "53300",
    message: (at, text) => `${nameOf(at)} has no free connection: ${text}`,
    remedy: () => "close connections, or raise max_connections and restart the server",
  },
  {
    code: "DATABASE_MISSING",
    matches: ({ code }) => code === "3D000",
    message: (at) => `there is no database "${at.database}" on ${nameOf(at)}`,
    remedy: (at) =>
      `name one that is there in postgres.url, or make it: create database ${quoted(at.database)}`,
  },
  {
    code: "SERVER_UNREACHABLE",
    matches: ({ code, text }) =>
      UNREACHABLE.includes(code) || /timeout expired|terminated unexpectedly/.test(text),
    message: (at, text) => `no server answers at ${nameOf(at)}: ${text}`,
    remedy: () => "check that the server runs and that host and port in postgres.url are right",
  },
];

/**
 * Says why a connection was not made, in words that name the server and the role, with what to do.
 * No password can be in it: neither servers nor sockets repeat one.
 */
export function connectionFailure(cause: unknown, attempt: Attempt): LifeboatError {
  const { routine } = (cause ?? {}) as { routine?: unknown };
  const failure = {
    code: codeOf(cause),
    routine: typeof routine === "string" ? routine : "",
    text: reasonOf(firstOf(cause)),
  };
  const reading = READINGS.find((each) => each.matches(failure, attempt));
  return new LifeboatError({
    code: reading?.code ?? "CONNECTION_FAILED",
    message:
      reading?.message(attempt, failure.text) ??
      `cannot connect to ${nameOf(attempt)}: ${failure.text}`,
    remedy: reading?.remedy(attempt, failure.text) ?? "see the server's log",
    details: { host: attempt.host, port: attempt.port, user: attempt.user },
    cause,
  });
}

/**
 * A failure of a statement or of the connection it ran on, in words; what is neither is a defect and
 * comes back as it is.
 */
export function serverFailure(cause: unknown, place: { host: string; port: number }): unknown {
  if (cause instanceof LifeboatError || !(cause instanceof Error)) return cause;
  const code = codeOf(cause);
  const lost =
    UNREACHABLE.includes(code) ||
    /^(57P0|08)/.test(code) ||
    /^Connection terminated|not queryable|was closed/.test(cause.message);
  // Five characters that the server chose: an SQLSTATE.
  if (!lost && !/^[0-9A-Z]{5}$/.test(code)) return cause;
  return new LifeboatError({
    code: lost ? "SERVER_LOST" : "STATEMENT_FAILED",
    message: lost
      ? `the connection to ${nameOf(place)} broke: ${cause.message}`
      : `${nameOf(place)} refused a statement: ${cause.message} (SQLSTATE ${code})`,
    remedy: lost ? "see the server's log for why, then run this again" : remedyOf(cause, code),
    cause,
  });
}

/** Where the server itself says what to do, nobody knows better. */
function remedyOf(cause: Error, code: string): string {
  if (code === INSUFFICIENT_PRIVILEGE)
    return "grant what is missing, such as pg_monitor, to the role: lifeboat doctor --sql prints the script";
  if (DAMAGED.includes(code))
    return "that lies damaged on the server's disk: restore it from a backup (lifeboat list shows them); where it keeps a backup from being taken of the rest, name another database of this server in postgres.url, such as postgres";
  const { hint } = cause as { hint?: unknown };
  return typeof hint === "string" ? hint : "see the server's log";
}

const INSUFFICIENT_PRIVILEGE = "42501";
/** `data_corrupted` and `index_corrupted`. */
const DAMAGED = ["XX001", "XX002"];

/**
 * Whether the account of the operating system was what did not fit. By a socket it is, in whatever words, unless the
 * other way is named that asks for a password and is refused with this SQLSTATE.
 */
function isByAccount(text: string, host: string): boolean {
  if (/\b(Peer|Ident)\b/.test(text)) return true;
  return host.startsWith("/") && !/\b(PAM|LDAP|RADIUS|BSD|GSSAPI)\b/.test(text);
}

/** The line that admits who was refused: from where the server says that it was asked, by socket or in the same way. */
function hbaLine(at: Attempt, text: string): string {
  const what = `${at.replication ? "replication" : quoted(at.database)} ${quoted(at.user)}`;
  if (at.host.startsWith("/")) return `local ${what} scram-sha-256`;
  // Our own address comes before any name, in whatever quotes.
  const address = text.split(/[^0-9A-Fa-f.:]+/).find((word) => isIP(word) !== 0);
  const range = address ? `${address}/${address.includes(":") ? 128 : 32}` : "<address>/32";
  const encrypted = at.encrypted ?? !/no encryption|SSL off/.test(text);
  return `${encrypted ? "hostssl" : "host"} ${what} ${range} scram-sha-256`;
}

/** A server as messages name it: `db1:5432`, or the socket's folder. */
export function nameOf({ host, port }: { host: string; port: number }): string {
  return host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`;
}

/** Node tries all addresses of a name and gives all their failures at once. */
function firstOf(cause: unknown): unknown {
  return cause instanceof AggregateError ? (cause.errors[0] ?? cause) : cause;
}

function codeOf(cause: unknown): string {
  const code = (firstOf(cause) as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
