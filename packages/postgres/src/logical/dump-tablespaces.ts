import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import type pg from "pg";
import { programPath, type ServerPrograms } from "../server/programs.ts";

/** What pg_restore sets before it makes something that lies in another tablespace than the database's own. */
const CHOICE = /^SET default_tablespace = (?:"((?:[^"]|"")+)"|([a-z_][a-z0-9_$]*));$/;

/** Tablespaces that a dump names, a directory or a file, and the target server does not have. */
export async function missingTablespaces(
  client: pg.Client,
  programs: ServerPrograms,
  dump: string,
  signal: AbortSignal,
): Promise<string[]> {
  const named = new Set<string>();
  const script = execa(programPath(programs, "pg_restore"), ["--schema-only", "--file=-", dump], {
    env: { LC_ALL: "C" },
    stdin: "ignore",
    cancelSignal: signal,
    buffer: { stdout: false },
  });
  for await (const line of script) {
    const [, quoted, plain] = CHOICE.exec(line) ?? [];
    const name = quoted?.replaceAll('""', '"') ?? plain;
    if (name !== undefined) named.add(name);
  }
  const { rows } = await client.query<{ spcname: string }>("select spcname from pg_tablespace");
  for (const { spcname } of rows) named.delete(spcname);
  return [...named].toSorted();
}

/**
 * Asks, before anything is loaded, whether the tablespaces that the dump names are there: pg_restore would end at the
 * first that is not, with a part of the dump in the target.
 * @throws LifeboatError `TABLESPACES_MISSING` (kind `refused`)
 */
export async function assertTablespaces(
  ...where: Parameters<typeof missingTablespaces>
): Promise<void> {
  const names = await missingTablespaces(...where);
  if (names.length === 0) return;
  throw new LifeboatError({
    code: "TABLESPACES_MISSING",
    kind: "refused",
    message: `the dump has tables or indexes in tablespaces that the target server does not have: ${names.join(", ")}`,
    remedy:
      "make these tablespaces there (create tablespace NAME location 'DIRECTORY'), or put all into the database's own with --no-tablespaces",
    details: { tablespaces: names },
  });
}
