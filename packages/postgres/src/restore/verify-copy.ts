import { mkdir, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError, type Report, type VerifiedBy } from "@lifeboat/core";
import { execa } from "execa";
import type { PostgresDetails } from "../details.ts";
import { type Account, accountMay, runAs } from "../files/account.ts";
import { UNFINISHED } from "../places/leftovers.ts";
import type { Sites } from "../places/restore-sites.ts";
import { tablespaceLink } from "../places/tablespace-links.ts";
import { findPrograms, programPath } from "../server/programs.ts";

const PROGRAM = "pg_verifybackup";

export interface Verifying {
  readonly details: PostgresDetails;
  readonly account: Account;
  readonly binDirectory: string | undefined;
  /** Files that differ from the manifest rightly. */
  readonly rewritten: readonly string[];
  readonly report: Report;
  readonly signal: AbortSignal;
}

/**
 * Lets pg_verifybackup compare the unpacked files with the manifest that the server wrote as it read them:
 * the one proof that goes back to the server itself. Our own digests begin where its bytes arrived.
 * Left out where this host has no such program of that version, or the account cannot run it.
 * @throws LifeboatError `VERIFY_FAILED` with the program's words
 */
export async function verifyCopy(
  { data, tablespaces }: Sites,
  { details, account, binDirectory, rewritten, report, signal }: Verifying,
): Promise<VerifiedBy | undefined> {
  const program = await programFor(details, binDirectory);
  if (program === undefined) return undefined;
  // By trying: whether its libraries can be reached as well, no bits tell.
  const tried = await execa(program, ["--version"], { ...runAs(account), reject: false });
  if (tried.failed || !(await accountMay(account, "x", data.path))) return undefined;
  report({ note: `checking the files by ${PROGRAM}` });
  const started = performance.now();
  // To where they are built: the links to their places are made afterwards.
  if (tablespaces.length > 0) await mkdir(join(data.path, "pg_tblspc"), { recursive: true });
  const links = tablespaces.map(({ tablespace }) => tablespaceLink(tablespace.oid));
  for (const [index, path] of links.entries())
    await symlink(tablespaces[index]?.site.path as string, join(data.path, path));
  const ignored = [...links.map((path) => `${path}/${UNFINISHED}`), ...rewritten];
  // There is no WAL in an archive: what the copy needs is laid after this, and was checked by itself.
  const args = ["--no-parse-wal", "--exit-on-error", "--quiet"];
  for (const path of ignored) args.push(`--ignore=${path}`);
  const run = { ...runAs(account), reject: false, all: true, cancelSignal: signal } as const;
  const { failed, all, isCanceled } = await execa(program, [...args, data.path], run);
  if (isCanceled) signal.throwIfAborted();
  if (failed) throw verifyFailed(all);
  for (const path of links) await unlink(join(data.path, path));
  return { program: PROGRAM, seconds: Math.round(performance.now() - started) / 1000 };
}

/** A restore needs no program: one that is not there is no reason to fail. */
async function programFor(
  { serverVersion }: PostgresDetails,
  binDirectory: string | undefined,
): Promise<string | undefined> {
  const major = Math.trunc(serverVersion / 10_000);
  try {
    return programPath(await findPrograms({ binDirectory, major, needs: [PROGRAM] }), PROGRAM);
  } catch (thrown) {
    if (thrown instanceof LifeboatError && thrown.code === "PROGRAMS_NOT_FOUND") return undefined;
    throw thrown;
  }
}

function verifyFailed(said: string): LifeboatError {
  const lines = said.split("\n").filter((line) => /error:|detail:|hint:/.test(line));
  const why = lines.map((line) => line.replace(/^pg_verifybackup: /, "")).join("; ");
  return new LifeboatError({
    code: "VERIFY_FAILED",
    message: `${PROGRAM} finds the unpacked files unlike the server's manifest: ${why || said.trim()}`,
    remedy:
      "the bytes were as they were stored, so they were damaged before: restore another backup (lifeboat list), and take a new one",
    details: { said },
  });
}
