import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import type pg from "pg";
import { programPath, type ServerPrograms } from "../server/programs.ts";

/** An entry of the dump's list that holds rights and nothing else. */
const RIGHTS = /^\d+; \d+ \d+ (?:DEFAULT )?ACL /;

/** What such an entry says of one role: it gets or loses a right, or gave it. PUBLIC, which is none, stands in capitals. */
const ROLE_OF_RIGHT =
  /(?:^SET SESSION AUTHORIZATION|^(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) .* (?:TO|FROM)) (?:"((?:[^"]|"")+)"|([a-z_][\w$]*))(?: WITH GRANT OPTION)?;$/;

interface DumpPlace {
  readonly directory: string;
  /** A folder for a file of ours. */
  readonly scratch: string;
}

/**
 * Asks, before anything is loaded, whether the roles that own what is in the dump, or have rights to it, are there:
 * pg_restore would end at the first that is not, with a part of the dump in the target.
 * @throws LifeboatError `ROLES_MISSING` (kind `refused`)
 */
export async function assertRoles(
  client: pg.Client,
  programs: ServerPrograms,
  { directory, scratch }: DumpPlace,
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
  const rights = stdout.split("\n").filter((line) => RIGHTS.test(line));
  const list = join(scratch, "rights.list");
  await writeFile(list, `${rights.join("\n")}\n`, { mode: 0o600 });
  for (const role of await rolesWithRights(programs, { directory, list }, signal))
    if (!roles.has(role)) missing.add(role);
  if (missing.size === 0) return;
  const names = [...missing].toSorted();
  throw new LifeboatError({
    code: "ROLES_MISSING",
    kind: "refused",
    message: `the dump names owners, or roles with rights, that the target server does not know: ${names.join(", ")}`,
    remedy:
      "make these roles there (globals.sql of the export has them), or leave owners and rights behind with --no-owner",
    details: { roles: names },
  });
}

/** From the statements that pg_restore would run for the entries of a list: the list itself does not name them. */
async function rolesWithRights(
  programs: ServerPrograms,
  { directory, list }: { readonly directory: string; readonly list: string },
  signal: AbortSignal,
): Promise<Set<string>> {
  const named = new Set<string>();
  const args = [`--use-list=${list}`, "--file=-", directory];
  const script = execa(programPath(programs, "pg_restore"), args, {
    env: { LC_ALL: "C" },
    stdin: "ignore",
    cancelSignal: signal,
    buffer: { stdout: false },
  });
  for await (const line of script) {
    const [, quoted, plain] = ROLE_OF_RIGHT.exec(line) ?? [];
    const name = quoted?.replaceAll('""', '"') ?? plain;
    if (name !== undefined) named.add(name);
  }
  return named;
}

/** Of a role whose name has blanks only the last word was taken. */
function endsInOne(line: string, roles: ReadonlySet<string>): boolean {
  return [...roles].some((role) => role.includes(" ") && line.endsWith(` ${role}`));
}
