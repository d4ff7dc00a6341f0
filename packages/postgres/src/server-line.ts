import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { type Account, serverAccount } from "./account.ts";
import { findPrograms, programPath } from "./programs.ts";
import { shellWord } from "./shell-word.ts";

/** Starts a server, its log in its own data directory. */
export function startLine(
  program: string,
  dataDirectory: string,
  account: Account,
  { log = "recovery.log", options = "" }: { readonly log?: string; readonly options?: string } = {},
): string {
  const words = [program, "start", "-D", dataDirectory, "-l", join(dataDirectory, log)];
  return lineAs(account, options === "" ? words : [...words, "-o", options]);
}

/** Stops a server in order: clients are cut off, nothing that was committed is lost. */
export function stopLine(program: string, dataDirectory: string, account: Account): string {
  return lineAs(account, [program, "stop", "-D", dataDirectory, "-m", "fast"]);
}

/** As root through the account that the server runs as, since Postgres refuses root. */
function lineAs(account: Account, words: readonly string[]): string {
  const line = words.map(shellWord).join(" ");
  return account.foreign ? `su ${shellWord(account.name)} -s /bin/sh -c ${quoted(line)}` : line;
}

/** A line that quotes words itself stays readable between double quotes, where the shell would change nothing of it. */
function quoted(line: string): string {
  return line.includes("'") && !/["$`\\!]/.test(line) ? `"${line}"` : shellWord(line);
}

/** The `pg_ctl` of a server's major version. Where none is installed, the name alone says what is needed. */
export async function controlProgram(
  major: number,
  binDirectory: string | undefined,
): Promise<string> {
  try {
    const needs = ["pg_ctl", "postgres"] as const;
    return programPath(await findPrograms({ binDirectory, major, needs }), "pg_ctl");
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return "pg_ctl";
    throw thrown;
  }
}

/** Lines that whoever reads a remedy can paste, as the account that he works as. */
export interface ServerLines {
  readonly start: string;
  readonly stop: string;
}

/** The lines for a data directory that is there. */
export async function serverLines(
  dataDirectory: string,
  {
    binDirectory,
    liesAt = dataDirectory,
    ...how
  }: {
    readonly binDirectory?: string | undefined;
    /** Where it is built, as long as it has not its name. */
    readonly liesAt?: string;
    readonly log?: string;
    /** Of the server, for its start. */
    readonly options?: string;
  } = {},
): Promise<ServerLines> {
  const text = await readFile(join(liesAt, "PG_VERSION"), "utf8").catch(() => "");
  const major = Number.parseInt(text, 10);
  const program = major > 0 ? await controlProgram(major, binDirectory) : "pg_ctl";
  const account = await serverAccount(liesAt);
  return {
    start: startLine(program, dataDirectory, account, how),
    stop: stopLine(program, dataDirectory, account),
  };
}
