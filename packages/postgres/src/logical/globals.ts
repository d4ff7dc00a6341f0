import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "@lifeboat/core";
import { KEEP_ALIVE, type ProgramEnvironment } from "../basebackup/libpq-environment.ts";
import { hasProgram, programPath, type ServerPrograms } from "../server/programs.ts";
import type { Scratch } from "../server/scratch.ts";
import { ProgramFailure, runClientProgram } from "./client-program.ts";
import type { DumpFile } from "./dump-tar.ts";
import { GLOBALS } from "./postgres-dump.ts";

/**
 * Roles and tablespaces, which belong to the cluster and are in no dump of a database: by pg_dumpall, without
 * passwords. Where that is not allowed the dump is good all the same, and it is said.
 */
export async function dumpGlobals(work: {
  readonly programs: ServerPrograms;
  readonly env: ProgramEnvironment;
  readonly scratch: Scratch;
  readonly signal: AbortSignal;
}): Promise<{ globals: DumpFile | null; findings: Finding[] }> {
  const { programs, env, scratch, signal } = work;
  const { watchdog } = scratch;
  if (!(await hasProgram(programs, "pg_dumpall")))
    return without(`${programs.directory} has no pg_dumpall`);
  const path = join(scratch.path, GLOBALS);
  const args = [
    "--globals-only",
    "--no-role-passwords",
    "--no-password",
    "--no-sync",
    `--dbname=${KEEP_ALIVE}`,
    `--database=${env.PGDATABASE}`,
    `--file=${path}`,
  ];
  const program = programPath(programs, "pg_dumpall");
  try {
    await runClientProgram({ program, args, env, signal, note: () => {}, watchdog });
    return {
      globals: { name: GLOBALS, path, bytes: (await stat(path)).size },
      findings: [],
    };
  } catch (cause) {
    if (!(cause instanceof ProgramFailure)) throw cause;
    return without(cause.message);
  }
}

function without(why: string): { globals: null; findings: Finding[] } {
  const finding: Finding = {
    id: "globals-left-out",
    severity: "info",
    summary: `roles and tablespaces of the cluster are not in this export: ${why}`,
    remedy: "make the roles on the new server by hand, or import with --no-owner",
  };
  return { globals: null, findings: [finding] };
}
