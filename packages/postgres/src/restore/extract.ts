import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Extracted, LifeboatError, ownProcessMark, syncDirectory } from "@lifeboat/core";
import type pg from "pg";
import { NOT_ELSEWHERE } from "../basebackup/libpq-environment.ts";
import { ownAccount } from "../files/account.ts";
import { findPrograms, programPath, type ServerPrograms } from "../server/programs.ts";
import { Scratch } from "../server/scratch.ts";
import { fillTarget } from "./fill-target.ts";
import { runClient } from "./run-client.ts";

/** A running copy, and what of it is wanted. */
export interface Extraction {
  readonly programs: ServerPrograms;
  /** How the copy is reached, as its superuser. */
  readonly config: pg.ClientConfig;
  readonly databases: readonly string[];
  /** The product's database, for a name that says no other. */
  readonly usual: string;
  /** One question to one of the copy's databases, under its own search_path. */
  readonly ask: Question;
  /** The same where all names without a schema are the server's own. */
  readonly askCatalog: Question;
  /** A database; or a table: `invoices`, `sales.invoices`, `shop.sales.invoices`. */
  readonly name: string;
  /** A file, absolute; or the URL of the database to fill. */
  readonly into: string;
  readonly signal: AbortSignal;
}

type Question = (sql: string, database: string) => Promise<readonly (readonly unknown[])[]>;

/** What a name turned out to be. */
interface Wanted {
  readonly database: string;
  /** As pg_dump takes them: a table and all that holds rows of it; none for the whole database. */
  readonly tables: readonly string[];
  /** In which these lie. */
  readonly schemas: readonly string[];
}

/**
 * The programs that take something out of a copy, of the copy's own version.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND`
 */
export function extractPrograms(
  binDirectory: string | undefined,
  major: number,
): Promise<ServerPrograms> {
  return findPrograms({
    binDirectory,
    major,
    needs: ["pg_dump", "pg_restore"],
  });
}

/** What it goes into is a database; else a file. */
export function isDatabaseUrl(into: string): boolean {
  return /^postgres(ql)?:/.test(into);
}

/**
 * Takes one database or table out of a running copy by pg_dump: into a file in its custom format (plain
 * SQL where the name ends in `.sql`), or straight into another database, all of it or nothing.
 * @throws LifeboatError `EXTRACT_NOT_FOUND` (kind `not-found`), `EXTRACT_FAILED` with the program's words
 */
export async function extract(work: Extraction): Promise<Extracted> {
  const wanted = await find(work);
  if (!isDatabaseUrl(work.into)) return intoFile(work, wanted, work.into);
  // A folder of ours alone: that of the server belongs to its account, which could have us write over another
  // file through a link, or give the other database what it likes.
  const scratch = await Scratch.make(ownAccount());
  const dump = join(scratch.path, "extracted.dump");
  try {
    await runDump(work, wanted, { file: dump, format: "custom" });
    const bytes = (await stat(dump)).size;
    return { name: work.name, bytes, notes: await fillTarget(work, wanted.schemas, dump) };
  } finally {
    await scratch.remove();
  }
}

async function intoFile(work: Extraction, wanted: Wanted, into: string): Promise<Extracted> {
  const growing = join(dirname(into), `.${basename(into)}.lifeboat-${ownProcessMark()}`);
  try {
    // Made closed to others; pg_dump writes into what is there.
    await (await open(growing, "wx", 0o600)).close();
    await runDump(work, wanted, {
      file: growing,
      format: into.endsWith(".sql") ? "plain" : "custom",
    });
    const file = await open(growing, "r");
    await file.sync().finally(() => file.close());
    const bytes = (await stat(growing)).size;
    await rename(growing, into);
    await syncDirectory(dirname(into));
    return { name: work.name, bytes };
  } finally {
    await rm(growing, { force: true });
  }
}

async function find({ name, databases, usual, ask, askCatalog }: Extraction): Promise<Wanted> {
  if (databases.includes(name)) return { database: name, tables: [], schemas: [] };
  const at = name.indexOf(".");
  const tries: [database: string, table: string][] = [[usual, name]];
  const first = name.slice(0, Math.max(0, at));
  if (databases.includes(first)) tries.push([first, name.slice(at + 1)]);
  for (const [database, table] of tries) {
    const [named] = await ask(tableNamed(literal(table)), database).catch(() => []);
    if (!named?.[0]) continue;
    const rows = await askCatalog(familyOf(String(named[0])), database);
    if (rows.length > 0)
      return {
        database,
        tables: rows.map(([each]) => exactPattern(`${each}`)),
        schemas: [...new Set(rows.map(([, schema]) => `${schema}`))],
      };
  }
  throw new LifeboatError({
    code: "EXTRACT_NOT_FOUND",
    kind: "not-found",
    message: `the copy has no database ${name}, and ${usual} no table of that name`,
    remedy: `name a table as schema.table, in another database as database.schema.table; there are the databases ${databases.join(", ")}`,
    details: { name, databases },
  });
}

/** Only the database's own path tells which table a name without a schema means; nothing else in this is looked for on it. */
export function tableNamed(table: string): string {
  return `select coalesce(pg_catalog.to_regclass(${table}), pg_catalog.to_regclass(pg_catalog.quote_ident(${table})))::pg_catalog.oid`;
}

/**
 * A table, first, and its partitions and children: their rows are its own to whoever reads it, and pg_dump leaves them out
 * (`--table-and-children` came with 16).
 */
function familyOf(oid: string): string {
  return `
    with recursive family(oid, depth) as (
      select ${oid}::oid, 0
      union all
      select inhrelid, depth + 1 from family join pg_inherits on inhparent = oid)
    select quote_ident(nspname) || '.' || quote_ident(relname), nspname
    from (select oid, min(depth) as depth from family group by oid) each
    join pg_class using (oid) join pg_namespace n on n.oid = relnamespace
    order by depth, pg_class.oid`;
}

/** Each part of a name with its schema, quotes included. */
export const NAME_PART: RegExp = /"(?:[^"]|"")*"|[^".]+/g;

/** In pg_dump's patterns only what stands in double quotes means itself. */
function exactPattern(qualified: string): string {
  return (qualified.match(NAME_PART) ?? [])
    .map((part) => (part.startsWith('"') ? part : `"${part}"`))
    .join(".");
}

async function runDump(
  { programs, config, signal }: Extraction,
  { database, tables }: Wanted,
  { file, format }: { readonly file: string; readonly format: "custom" | "plain" },
): Promise<void> {
  const only = tables.map((table) => `--table=${table}`);
  const args = [`--format=${format}`, `--file=${file}`, "--no-password", ...only];
  await runClient(programPath(programs, "pg_dump"), args, {
    signal,
    env: {
      ...NOT_ELSEWHERE,
      LC_ALL: "C",
      PGAPPNAME: "lifeboat",
      PGHOST: String(config.host),
      PGPORT: String(config.port),
      PGUSER: String(config.user),
      PGDATABASE: database,
      PGOPTIONS: config.options ?? "",
    },
  });
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
