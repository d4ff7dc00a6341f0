import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError, type Manifest } from "@lifeboat/core";
import { execa } from "execa";
import { type Account, accountMay, runAs } from "../files/account.ts";
import type { Sites } from "../places/restore-sites.ts";
import { findPrograms, programPath, type ServerPrograms } from "../server/programs.ts";
import { reachablePrograms } from "../server/staging.ts";

/** Since this version it can link whole files instead of copying them. */
export const LINKS_SINCE = 18;
/** Where a tablespace is put together: the program takes only an empty folder, and ours holds a mark. */
const COMBINED = ".lifeboat-combined";

/**
 * The program that puts incremental backups together, of the very version that took them.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND` saying what to install
 */
export function combineProgram(
  binDirectory: string | undefined,
  major: number,
): Promise<ServerPrograms> {
  return findPrograms({ binDirectory, major, needs: ["pg_combinebackup"] });
}

export interface Combining {
  readonly programs: ServerPrograms;
  readonly account: Account;
  /** The unpacked backups, the full one first. */
  readonly inputs: readonly Sites[];
  /** Where the whole goes. */
  readonly output: Sites;
  readonly backups: readonly Manifest[];
  readonly signal: AbortSignal;
}

/**
 * Puts a full backup and the incremental ones upon it together by pg_combinebackup, as the server's
 * account, into the folders where the copy is built. It makes what it writes durable.
 * @throws LifeboatError `COMBINE_FAILED` with the program's words; `TARGET_UNREACHABLE`
 */
export async function combineBackups(work: Combining): Promise<void> {
  const { account, output, inputs } = work;
  if (!(await accountMay(account, "w", output.data.path)))
    throw unreachable(output.data.place, account);
  const { programs, release } = await reachablePrograms(work.programs, account, "pg_combinebackup");
  try {
    const last = inputs.at(-1) as Sites;
    const mappings = last.tablespaces.map(({ site, tablespace }) => {
      const made = output.tablespaces.find((each) => each.tablespace.oid === tablespace.oid);
      return `--tablespace-mapping=${escaped(site.path)}=${escaped(join(made?.site.path ?? "", COMBINED))}`;
    });
    const links = programs.major >= LINKS_SINCE ? ["--link"] : [];
    const args = [
      ...links,
      ...mappings,
      `--output=${output.data.path}`,
      ...inputs.map(({ data }) => data.path),
    ];
    const { failed, all, isCanceled } = await execa(
      programPath(programs, "pg_combinebackup"),
      args,
      { ...runAs(account), reject: false, all: true, cancelSignal: work.signal },
    );
    if (isCanceled) work.signal.throwIfAborted();
    if (failed) throw combineFailed(work.backups, all);
  } finally {
    await release();
  }
  for (const { site } of output.tablespaces) await moveUp(site.path);
  // The links lead to where tablespaces are built; those to their places are made afterwards.
  for (const { tablespace } of output.tablespaces)
    await rm(join(output.data.path, "pg_tblspc", String(tablespace.oid)));
}

async function moveUp(folder: string): Promise<void> {
  const combined = join(folder, COMBINED);
  // A tablespace without a file of its own is not made.
  await mkdir(combined, { recursive: true });
  for (const name of await readdir(combined))
    await rename(join(combined, name), join(folder, name));
  await rm(combined, { recursive: true });
}

/** As pg_combinebackup wants an equals sign in a folder's name. */
function escaped(path: string): string {
  return path.replace(/[\\=]/g, (character) => `\\${character}`);
}

function combineFailed(backups: readonly Manifest[], said: string): LifeboatError {
  const lines = said.split("\n").filter((line) => /error:|detail:|hint:/.test(line));
  return new LifeboatError({
    code: "COMBINE_FAILED",
    message: `pg_combinebackup could not put ${backups.map(({ id }) => id).join(", ")} together: ${lines.join("; ") || said.trim()}`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { backups: backups.map(({ id }) => id) },
  });
}

function unreachable(place: string, account: Account): LifeboatError {
  return new LifeboatError({
    code: "TARGET_UNREACHABLE",
    kind: "refused",
    message: `account ${account.name}, as which the incremental backups are put together, cannot reach ${place}`,
    remedy:
      "restore to a folder whose parents it may search (/var/lib/postgresql, /var/tmp), or chmod o+x them",
    details: { path: place, account: account.name },
  });
}
