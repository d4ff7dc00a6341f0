import { LifeboatError, reasonOf } from "@lifeboat/core";
import { sourceError } from "../source-error.ts";

/** Classes 08 (connection) and 57P (the server shuts down): Postgres manual, appendix A. */
const LOST = /^(08...|57P0[1-5])$/;
const SOCKET = new Set(["EPIPE", "ECONNRESET", "ECONNREFUSED", "ETIMEDOUT", "ENOTCONN"]);

/** "insufficient_privilege", appendix A. */
const DENIED = "42501";

/** "read_only_sql_transaction": a standby, or a role or database that is set to only read. */
const READ_ONLY = "25006";

/** Gives a broken connection, a missing right or a target that only reads a name; anything else comes back as it is. */
export function targetError(cause: unknown): unknown {
  if (cause instanceof LifeboatError) return cause;
  const { code } = (cause ?? {}) as { code?: string };
  if (code === DENIED) return denied(cause);
  if (code === READ_ONLY) return readOnly(cause);
  if (!isLost(cause)) return cause;
  return new LifeboatError({
    code: "POSTGRES_LOST",
    message: `the connection to the target Postgres broke: ${reasonOf(cause)}`,
    remedy:
      "what was under way there was rolled back; see that the server runs, then run this again",
    cause,
  });
}

function denied(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "TARGET_DENIED",
    message: `the role of postgres.url may not do this in the target: ${reasonOf(cause)}`,
    remedy:
      "what was under way was rolled back; make the role owner of the database and of what was loaded (alter database NAME owner to ROLE, alter table NAME owner to ROLE), or name one that is in postgres.url",
    cause,
  });
}

function readOnly(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "TARGET_READ_ONLY",
    message: `the target takes no writes: ${reasonOf(cause)}`,
    remedy:
      "name the primary in postgres.url, or reset default_transaction_read_only of the role or database",
    cause,
  });
}

/**
 * The same for what the server, or SQLite, says outside the steps that name their own object. The server's message may quote a
 * stored value where a value is what it refuses (class 22): then only the code is told.
 */
export function serverError(cause: unknown): unknown {
  const named = targetError(sourceError(cause));
  const { code, severity } = (named ?? {}) as { code?: string; severity?: string };
  if (named instanceof LifeboatError || code === undefined || severity === undefined) return named;
  const reason = code.startsWith("22") ? "it can't read a value" : reasonOf(cause);
  return new LifeboatError({
    code: "TARGET_REFUSED",
    message: `the target Postgres refuses (SQLSTATE ${code}): ${reason}`,
    remedy: "what was under way there was rolled back; set right what it says, then run this again",
    details: { sqlstate: code },
    cause,
  });
}

function isLost(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code } = cause as { code?: string };
  if (code !== undefined) return LOST.test(code) || SOCKET.has(code);
  return /^Connection terminated|^Client (has encountered|was closed)/.test(cause.message);
}
