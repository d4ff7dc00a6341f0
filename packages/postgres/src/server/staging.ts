import { chmod, cp, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import { type Account, runAs } from "../files/account.ts";
import { type ProgramName, programPath, type ServerPrograms } from "./programs.ts";
import { Scratch } from "./scratch.ts";

/** Programs that the account can run, and how to give them back. */
export interface ReachablePrograms {
  readonly programs: ServerPrograms;
  /** Removes the copy, if one was made. May be called twice. */
  release(): Promise<void>;
}

/** What an installation that can be moved consists of: programs find the other two beside `bin`. */
const PARTS = ["bin", "lib", "share"];

/**
 * The programs as the account can run them: as they are, or, where it cannot reach them (a clone
 * under a home that is closed to others), in a temporary copy. Whether it can is found by running
 * one: nothing else tells the truth about closed parents, access lists and mounts at once.
 * @param tried the program that is run to find out
 * @throws LifeboatError `PROGRAMS_UNREACHABLE` when they cannot be moved or do not run after it
 */
export async function reachablePrograms(
  programs: ServerPrograms,
  account: Account,
  tried: ProgramName = "postgres",
): Promise<ReachablePrograms> {
  const refusal = await refusalOf(programs, account, tried);
  if (refusal === undefined) return { programs, release: async () => {} };
  if (!(await canBeMoved(programs))) throw unreachable(programs, account, refusal);
  const copy = await copyOf(programs, account);
  const still = await refusalOf(copy.programs, account, tried);
  if (still === undefined) return copy;
  await copy.release();
  throw unreachable(programs, account, still);
}

/** Why the account cannot run the programs; undefined when it can. */
async function refusalOf(
  programs: ServerPrograms,
  account: Account,
  name: ProgramName,
): Promise<string | undefined> {
  const run = { ...runAs(account), reject: false } as const;
  const { failed, shortMessage } = await execa(programPath(programs, name), ["--version"], run);
  return failed ? shortMessage : undefined;
}

async function canBeMoved(programs: ServerPrograms): Promise<boolean> {
  const installation = dirname(programs.directory);
  const there = await readdir(installation).catch((): string[] => []);
  return basename(programs.directory) === "bin" && PARTS.every((part) => there.includes(part));
}

async function copyOf(programs: ServerPrograms, account: Account): Promise<ReachablePrograms> {
  const scratch = await Scratch.make(account);
  const installation = dirname(programs.directory);
  try {
    // Links as they are: they lead from one library's name to another, inside the same folder.
    for (const part of PARTS)
      await cp(join(installation, part), join(scratch.path, part), {
        recursive: true,
        verbatimSymlinks: true,
      });
    await openToReaders(scratch.path);
  } catch (cause) {
    await scratch.remove();
    throw cause;
  }
  return {
    programs: { ...programs, directory: join(scratch.path, "bin") },
    release: () => scratch.remove(),
  };
}

/** A clone made under a strict umask has folders and files that only their owner may read. */
async function openToReaders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    const wanted = mode | 0o444 | (mode & 0o100 ? 0o111 : 0);
    if (wanted !== mode) await chmod(path, wanted & 0o7777);
  }
}

function unreachable(programs: ServerPrograms, account: Account, why: string): LifeboatError {
  return new LifeboatError({
    code: "PROGRAMS_UNREACHABLE",
    message: `account ${account.name} cannot run the programs in ${programs.directory} (${why})`,
    remedy: `let it search each folder above them (chmod o+x), or install Postgres ${programs.major} for the whole system`,
    details: { directory: programs.directory, account: account.name },
  });
}
