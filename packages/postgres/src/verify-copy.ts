import { symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError, type Report, type VerifiedBy } from "@lifeboat/core";
import { execa } from "execa";
import { type Account, accountMay, runAs } from "./account.ts";
import type { PostgresDetails } from "./details.ts";
import { UNFINISHED } from "./leftovers.ts";
import { findPrograms, programPath } from "./programs.ts";
import type { Sites } from "./restore-sites.ts";
import { tablespaceLink } from "./tablespace-links.ts";

const PROGRAM = "pg_verifybackup";

export interface Verifying {
  readonly details: PostgresDetails;
  readonly account: Account;
  readonly binDirectory: string | undefined;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/**
 * Lets pg_verifybackup compare the unpacked files with the manifest that the server wrote as it read them:
 * the one proof that goes back to the server itself. Our own digests begin where its bytes arrived.
 * Left out where this host has no such program of that version, or the account cannot run it.
 * @param ignored paths from the directory that are not the backup's
 * @throws LifeboatError `VERIFY_FAILED` with the program's words
 */
export async function verifyCopy(
  directory: string,
  ignored: readonly string[],
  { details, account, binDirectory, report, signal }: Verifying,
): Promise<VerifiedBy | undefined> {
  const program = await programFor(details, binDirectory);
  if (program === undefined) return undefined;
  // By trying: whether its libraries can be reached as well, no bits tell.
  const tried = await execa(program, ["--version"], { ...runAs(account), reject: false });
  if (tried.failed || !(await accountMay(account, "x", directory))) return undefined;
  report({ note: `checking the files by ${PROGRAM}` });
  const started = performance.now();
  // There is no WAL in an archive: what the copy needs comes after this, and was checked by itself.
  const ignore = ignored.map((path) => `--ignore=${path}`);
  const args = ["--no-parse-wal", "--exit-on-error", "--quiet", ...ignore, directory];
  const run = { ...runAs(account), reject: false, all: true, cancelSignal: signal } as const;
  const { failed, all, isCanceled } = await execa(program, args, run);
  if (isCanceled) signal.throwIfAborted();
  if (failed) throw verifyFailed(all);
  return { program: PROGRAM, seconds: Math.round(performance.now() - started) / 1000 };
}

/** The same for a copy whose tablespaces do not lie in their places yet. */
export async function verifyBuilt(
  { data, tablespaces }: Sites,
  verifying: Verifying,
): Promise<VerifiedBy | undefined> {
  const links = tablespaces.map(({ tablespace, site }) => ({
    path: tablespaceLink(tablespace.oid),
    place: site.path,
  }));
  for (const { path, place } of links) await symlink(place, join(data.path, path));
  const marks = links.map(({ path }) => `${path}/${UNFINISHED}`);
  const verified = await verifyCopy(data.path, marks, verifying);
  for (const { path } of links) await unlink(join(data.path, path));
  return verified;
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
