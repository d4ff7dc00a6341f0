import { LifeboatError, reasonOf } from "@lifeboat/core";

/** Classes 08 (connection) and 57P (the server shuts down): Postgres manual, appendix A. */
const LOST = /^(08...|57P0[1-5])$/;
const SOCKET = new Set(["EPIPE", "ECONNRESET", "ECONNREFUSED", "ETIMEDOUT", "ENOTCONN"]);

/** Gives a failure of the connection itself a name; anything else comes back as it is. */
export function targetError(cause: unknown): unknown {
  if (cause instanceof LifeboatError || !isLost(cause)) return cause;
  return new LifeboatError({
    code: "POSTGRES_LOST",
    message: `the connection to the target Postgres broke: ${reasonOf(cause)}`,
    remedy: "nothing was kept in Postgres; see that the server runs, then run this again",
    cause,
  });
}

function isLost(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code } = cause as { code?: string };
  if (code !== undefined) return LOST.test(code) || SOCKET.has(code);
  return /^Connection terminated|^Client (has encountered|was closed)/.test(cause.message);
}
