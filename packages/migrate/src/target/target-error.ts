import { LifeboatError, reasonOf } from "@lifeboat/core";

/** Classes 08 (connection) and 57P (the server shuts down): Postgres manual, appendix A. */
const LOST = /^(08...|57P0[1-5])$/;
const SOCKET = new Set(["EPIPE", "ECONNRESET", "ECONNREFUSED", "ETIMEDOUT", "ENOTCONN"]);

/** "insufficient_privilege", appendix A. */
const DENIED = "42501";

/** Gives a broken connection or a missing right a name; anything else comes back as it is. */
export function targetError(cause: unknown): unknown {
  if (cause instanceof LifeboatError) return cause;
  if ((cause as { code?: string } | null)?.code === DENIED) return denied(cause);
  if (!isLost(cause)) return cause;
  return new LifeboatError({
    code: "POSTGRES_LOST",
    message: `the connection to the target Postgres broke: ${reasonOf(cause)}`,
    remedy: "nothing was kept in Postgres; see that the server runs, then run this again",
    cause,
  });
}

function denied(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "TARGET_DENIED",
    message: `the role of postgres.url may not do this in the target: ${reasonOf(cause)}`,
    remedy:
      "nothing was kept; make the role owner of the database (alter database NAME owner to ROLE), or name one that is in postgres.url",
    cause,
  });
}

function isLost(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code } = cause as { code?: string };
  if (code !== undefined) return LOST.test(code) || SOCKET.has(code);
  return /^Connection terminated|^Client (has encountered|was closed)/.test(cause.message);
}
