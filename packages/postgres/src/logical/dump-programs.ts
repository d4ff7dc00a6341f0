import { LifeboatError } from "@lifeboat/core";
import {
  findPrograms,
  hasProgram,
  installations,
  type ProgramName,
  type ServerPrograms,
} from "../server/programs.ts";

/**
 * pg_dump of the server's own major version, else the oldest that is newer: an older one refuses the
 * server, and what a newer one writes only servers as new as itself are sure to take.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND`
 */
export async function dumpPrograms(
  binDirectory: string | undefined,
  serverMajor: number,
): Promise<ServerPrograms> {
  const fitting = (await installedWith("pg_dump", binDirectory)).filter(
    ({ major }) => major >= serverMajor,
  );
  const [best] = fitting.toSorted((a, b) => a.major - b.major);
  return best ?? findPrograms({ binDirectory, major: serverMajor, needs: ["pg_dump"] });
}

/**
 * pg_restore that can read a dump: not older than what wrote it. Of those the target's own, else the newest that is
 * older than the target, since a newer one says to it what it may not know.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND`
 */
export async function restorePrograms(
  binDirectory: string | undefined,
  majors: { readonly dump: number; readonly target: number },
): Promise<ServerPrograms> {
  const fitting = (await installedWith("pg_restore", binDirectory))
    .filter(({ major }) => major >= majors.dump)
    .toSorted((a, b) => a.major - b.major);
  const best = fitting.findLast(({ major }) => major <= majors.target) ?? fitting[0];
  if (best) return best;
  throw new LifeboatError({
    code: "PROGRAMS_NOT_FOUND",
    message: `no pg_restore of version ${majors.dump} or newer was found, and older ones cannot read this dump`,
    remedy: `install it (Debian and Ubuntu: apt-get install postgresql-client-${majors.target}), or name its directory as postgres.binDirectory in the configuration`,
    details: { needs: ["pg_restore"], major: majors.dump },
  });
}

async function installedWith(
  name: ProgramName,
  binDirectory: string | undefined,
): Promise<ServerPrograms[]> {
  const found: ServerPrograms[] = [];
  for await (const programs of installations({ binDirectory }))
    if (await hasProgram(programs, name)) found.push(programs);
  return found;
}
