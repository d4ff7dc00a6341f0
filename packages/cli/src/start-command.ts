import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "@lifeboat/core";
import type { Account } from "@lifeboat/postgres";

/** How a restored data directory is started on this machine. */
export interface StartCommand {
  /** A line for the shell of whoever restored it. */
  readonly line: string;
  /** What keeps it from working. */
  readonly findings: readonly Finding[];
}

export interface CopyToStart {
  readonly dataDirectory: string;
  /** `postgres.binDirectory` of the configuration. */
  readonly binDirectory: string | undefined;
  /** A file of the repository that the server must be able to read as it recovers; null when it has recovered. */
  readonly needed: string | null;
}

/**
 * The command that starts a restored data directory, ready to be pasted: with the path of the program,
 * which Debian keeps out of PATH, and as root through the account that the server runs as, since
 * Postgres refuses root.
 */
export async function startCommand(copy: CopyToStart): Promise<StartCommand> {
  const { controlProgram, serverAccount, startLine } = await import("@lifeboat/postgres");
  const { dataDirectory } = copy;
  const major = Number.parseInt(await readFile(join(dataDirectory, "PG_VERSION"), "utf8"), 10);
  const program = await controlProgram(major, copy.binDirectory);
  const account = await serverAccount(dataDirectory);
  const line = startLine(program, dataDirectory, account);
  return { line, findings: account.foreign ? await closedTo(account, copy) : [] };
}

/** What root restored, but the server's account cannot get at. */
async function closedTo(account: Account, copy: CopyToStart): Promise<Finding[]> {
  const { accountMay } = await import("@lifeboat/postgres");
  const { dataDirectory, needed } = copy;
  if (!(await accountMay(account, "x", dataDirectory)))
    return [copyClosed(account.name, dataDirectory)];
  if (needed === null || (await accountMay(account, "r", needed))) return [];
  return [repositoryClosed(account.name, needed)];
}

function repositoryClosed(account: string, file: string): Finding {
  return {
    id: "repository-unreachable",
    severity: "error",
    summary: `the copy cannot recover when it is started: account ${account}, which its server runs as, may not read ${file}`,
    remedy: `restore again with --replay --force, which recovers the copy at once, or give ${account} the right to read the repository`,
  };
}

function copyClosed(account: string, dataDirectory: string): Finding {
  return {
    id: "copy-unreachable",
    severity: "error",
    summary: `the server cannot be started in ${dataDirectory}: account ${account}, which it runs as, may not pass through a folder above it`,
    remedy: `move it to where ${account} can go, such as below /var/lib, and start it there`,
  };
}
