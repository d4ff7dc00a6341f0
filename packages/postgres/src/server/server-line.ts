import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { type Account, serverAccount } from "../files/account.ts";
import { readOwned } from "../files/owned-file.ts";
import { findPrograms, programPath } from "./programs.ts";

/** What starts and stops servers. */
const NAME = "pg_ctl";

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
    const needs = [NAME, "postgres"] as const;
    return programPath(await findPrograms({ binDirectory, major, needs }), NAME);
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return NAME;
    throw thrown;
  }
}

/** Beside the program that a server was started with last in the data directory, which it notes in its first word. */
async function programOfServer(dataDirectory: string): Promise<string | undefined> {
  const options = await textOf(join(dataDirectory, "postmaster.opts"));
  const server = /^(\/\S+)\/postgres(?:\s|$)/.exec(options)?.[1];
  if (server === undefined) return undefined;
  const program = join(server, NAME);
  return access(program, constants.X_OK).then(
    () => program,
    () => undefined,
  );
}

/** A line of a directory that may be another account's; nothing where it cannot be had. */
async function textOf(path: string): Promise<string> {
  const read = readOwned(path, { owner: undefined, mostBytes: 2 ** 16 });
  return read.then(String, () => "");
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
  const major = Number.parseInt(await textOf(join(liesAt, "PG_VERSION")), 10);
  const found = major > 0 ? await controlProgram(major, binDirectory) : NAME;
  const program = found === NAME ? ((await programOfServer(liesAt)) ?? NAME) : found;
  const account = await serverAccount(liesAt);
  return {
    start: startLine(program, dataDirectory, account, how),
    stop: stopLine(program, dataDirectory, account),
  };
}
