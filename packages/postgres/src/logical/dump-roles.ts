import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import type pg from "pg";
import { programPath, type ServerPrograms } from "../programs.ts";

/**
 * Asks, before anything is loaded, whether the roles that own what is in the dump are there: pg_restore would end
 * at the first that is not.
 * @throws LifeboatError `ROLES_MISSING` (kind `refused`)
 */
export async function assertRoles(
  client: pg.Client,
  programs: ServerPrograms,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const { stdout } = await execa(programPath(programs, "pg_restore"), ["--list", directory], {
    env: { LC_ALL: "C" },
    stdin: "ignore",
    cancelSignal: signal,
    maxBuffer: 2 ** 30,
  });
  const { rows } = await client.query<{ rolname: string }>("select rolname from pg_roles");
  const roles = new Set(rows.map(({ rolname }) => rolname));
  const missing = new Set<string>();
  for (const line of stdout.split("\n")) {
    // `215; 1259 16386 TABLE public orders shop`: the owner last, and nothing where there is none.
    const words = /^\d+; \d+ \d+ (.*\S) (\S+)$/.exec(line);
    const owner = words?.[2];
    if (owner === undefined || roles.has(owner) || endsInOne(line, roles)) continue;
    missing.add(owner);
  }
  if (missing.size === 0) return;
  const names = [...missing].toSorted();
  throw new LifeboatError({
    code: "ROLES_MISSING",
    kind: "refused",
    message: `the dump has owners that the target server does not know: ${names.join(", ")}`,
    remedy:
      "make these roles there (globals.sql of the export has them), or leave owners and rights behind with --no-owner",
    details: { roles: names },
  });
}

/** Of a role whose name has blanks only the last word was taken. */
function endsInOne(line: string, roles: ReadonlySet<string>): boolean {
  return [...roles].some((role) => role.includes(" ") && line.endsWith(` ${role}`));
}
