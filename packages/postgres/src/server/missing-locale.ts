import { LifeboatError } from "@lifeboat/core";
import pg from "pg";

/** Databases that sort by a locale which the host does not know let nobody in, though their server runs. */
const REFUSED_BY = "CheckMyDatabase";
const INTERNAL_ERROR = "XX000";
/** `LC_COLLATE "de_DE.UTF-8",  which is not recognized by setlocale()`, in the details of that. */
const NAMED = /LC_\w+ "([^"]*)"/;
/** What is said of a file's settings. */
const SETTING = /^LOG: {2}invalid value for parameter "lc_\w+": "([^"]*)"/;

/** What keeps a database shut for as long as its server runs: a locale that is not on this host. Undefined when it is something else. */
export function localeRefusal(cause: unknown, dataDirectory: string): LifeboatError | undefined {
  if (!(cause instanceof pg.DatabaseError)) return undefined;
  if (cause.routine !== REFUSED_BY || cause.code !== INTERNAL_ERROR) return undefined;
  const reason = [cause.message, cause.detail].filter(Boolean).join(": ");
  return missingLocale(dataDirectory, reason, NAMED.exec(cause.detail ?? "")?.[1], cause);
}

/** The same of a server that ended since its settings name one, by its log. */
export function localeOfSettings(
  lines: readonly string[],
  dataDirectory: string,
): LifeboatError | undefined {
  const line = lines.find((each) => SETTING.test(each));
  if (line === undefined) return undefined;
  return missingLocale(dataDirectory, line.replace(/^LOG: +/, ""), SETTING.exec(line)?.[1]);
}

function missingLocale(
  dataDirectory: string,
  reason: string,
  locale = "that it names",
  cause?: unknown,
): LifeboatError {
  return new LifeboatError({
    code: "LOCALE_MISSING",
    message: `the copy in ${dataDirectory} needs the locale ${locale}, which this host has not: ${reason}`,
    remedy: `make that locale on this host, then run this again: on Debian its line in /etc/locale.gen, and locale-gen; elsewhere localedef (localedef -i de_DE -f UTF-8 de_DE.UTF-8 for German)`,
    details: { dataDirectory, locale },
    cause,
  });
}
