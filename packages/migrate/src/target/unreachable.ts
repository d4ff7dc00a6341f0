import { LifeboatError, reasonOf } from "@lifeboat/core";

const PASSWORD =
  "put the right password into the password file (~/.pgpass or PGPASSFILE, mode 0600) or PGPASSWORD";
const ROLE =
  "check the user in postgres.url, and that it may log in; lifeboat doctor --sql prints the script that makes the role, for a superuser";

/**
 * What to do where the server itself says why it lets nobody in, by SQLSTATE (manual, appendix A). Its words are in its own language: only
 * a file's name is the same in all. Words behind no SQLSTATE are those of our own client.
 */
const REMEDIES: readonly (readonly [state: RegExp, text: RegExp, remedy: string])[] = [
  [
    /^28000$/,
    /pg_hba\.conf/,
    "add the line to pg_hba.conf with which the script of lifeboat doctor --sql ends, then: select pg_reload_conf()",
  ],
  [/^28P01$/, /./, PASSWORD],
  [/^$/, /password|SASL/, PASSWORD],
  [
    /^3D000$/,
    /./,
    "name the database in postgres.url, or make it: create database NAME encoding 'UTF8' template template0",
  ],
  [/^53300$/, /./, "close connections, or raise max_connections and restart the server"],
  [/^57P03$/, /./, "wait until it has started, then run this again"],
];

/** No connection to the target was made: in the server's words, with what to do about them. */
export function unreachable(cause: unknown): LifeboatError {
  const { code, routine } = (cause ?? {}) as { code?: string; routine?: string };
  const text = reasonOf(cause);
  const known = REMEDIES.find(([state, said]) => state.test(code ?? "") && said.test(text))?.[2];
  // By SQLSTATE alone it could be told from no way of authentication that failed.
  const ofRole = routine === "InitializeSessionUserId" && code === "28000" ? ROLE : undefined;
  return new LifeboatError({
    code: "POSTGRES_UNREACHABLE",
    message: `the target Postgres can't be reached: ${text}`,
    remedy: known ?? ofRole ?? "check postgres.url, that the server runs, and its pg_hba.conf",
    cause,
  });
}
