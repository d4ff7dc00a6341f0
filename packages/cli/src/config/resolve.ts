import { basename, extname, resolve } from "node:path";
import { type EngineKind, SAFE_NAME } from "@lifeboat/core";
import type { Configuration, Hook, LifeboatConfig, PostgresPlace } from "../configuration.ts";
import { parseDuration, parseSize } from "../option-values.ts";
import { withEnvironment } from "./environment.ts";
import { configurationInvalid, configurationNotAvailable, type Fault } from "./fault.ts";
import { notBuiltKeys } from "./not-built.ts";
import { type CheckedConfiguration, checkConfiguration } from "./schema.ts";

const DEFAULT_LEVEL = 3;
/** Transactions a second of a rehearsal's traffic. */
const DEFAULT_RATE = 50;
const NAME_IT = 'give the database one beside its path, as in "name": "orders"';

/**
 * Checks a configuration and resolves its variables and paths.
 * @param source how messages name it: the file, or the command it is built into
 * @param file the file, absolute, or null
 * @param directory what relative paths are relative to
 * @throws LifeboatError kind `usage`: `CONFIG_INVALID` with a line for each fault, or `NOT_AVAILABLE`
 */
export function resolveConfiguration(
  value: unknown,
  place: { readonly source: string; readonly file: string | null; readonly directory: string },
): Configuration {
  const notBuilt = notBuiltKeys(value);
  const resolved = withEnvironment(value, process.env);
  const result = checkConfiguration(resolved.value);
  const faults = [...resolved.faults.filter(isBeside(notBuilt)), ...notBuilt];
  if ("faults" in result)
    faults.push(...result.faults.filter(isNew(resolved.faults)).filter(isBeside(notBuilt)));
  if (notBuilt.length > 0 && faults.length === notBuilt.length)
    throw configurationNotAvailable(place.source, notBuilt);
  if ("faults" in result || faults.length > 0) throw configurationInvalid(place.source, faults);
  const checked = result.value;
  const sqlite = sqliteOf(checked, place);
  const { compression, drill } = checked;
  const level = compression?.level ?? DEFAULT_LEVEL;
  const engines: EngineKind[] = [];
  if (sqlite.length > 0) engines.push("sqlite");
  if (checked.postgres) engines.push("postgres");
  return {
    file: place.file,
    app: checked.app,
    repository: { type: "filesystem", path: resolve(place.directory, checked.repository.path) },
    sqlite,
    postgres: checked.postgres ? postgresOf(checked.postgres, place.directory) : null,
    compression: { level, logLevel: compression?.wal ?? level },
    archive: archiveOf(checked),
    engines,
    // Until a cutover is recorded, a product with both lives in SQLite.
    live: engines[0] as EngineKind,
    checks: (drill?.checks ?? []) as Configuration["checks"],
    migrate: migrateOf(checked),
    traffic: trafficOf(checked, place.directory),
    schema: (checked.schema ?? {}) as NonNullable<LifeboatConfig["schema"]>,
  };
}

/** A variable that is not set leaves a hole, which the schema would report once more. */
function isNew(before: readonly Fault[]): (fault: Fault) => boolean {
  return ({ path }) => !before.some((fault) => fault.path === path);
}

/** What is said of a key that is not built, or of what stands beside the value that is not, is not about this version. */
function isBeside(notBuilt: readonly Fault[]): (fault: Fault) => boolean {
  const tops = new Set(notBuilt.map(({ path }) => path.split(".")[0]));
  return ({ path }) => !tops.has(path.split(/[.[]/)[0]);
}

function sqliteOf(
  { sqlite }: CheckedConfiguration,
  place: { readonly source: string; readonly directory: string },
): Configuration["sqlite"] {
  const isList = Array.isArray(sqlite);
  const databases = isList ? sqlite : sqlite ? [sqlite] : [];
  const faults: Fault[] = [];
  const seen = new Set<string>();
  const files = new Map<string, number>();
  const named = databases.map(({ name, path }, index) => {
    const own = name ?? basename(path, extname(path));
    const at = `${isList ? `sqlite[${index}]` : "sqlite"}.${name === undefined ? "path" : "name"}`;
    if (!SAFE_NAME.test(own))
      faults.push({ path: at, message: `makes no safe name for a folder: ${NAME_IT}` });
    if (seen.has(own))
      faults.push({ path: at, message: `gives a second database the name ${own}: ${NAME_IT}` });
    seen.add(own);
    const file = resolve(place.directory, path);
    const first = files.get(file);
    // Two watches of one file would keep each other from emptying its WAL.
    if (first !== undefined)
      faults.push({
        path: `sqlite[${index}].path`,
        message: `is the file of sqlite[${first}] too`,
      });
    files.set(file, first ?? index);
    return { name: own, path: file };
  });
  if (faults.length > 0) throw configurationInvalid(place.source, faults);
  return named;
}

function migrateOf({ migrate }: CheckedConfiguration): Configuration["migrate"] {
  const { budget, onCutover, onRollback, ...rest } = migrate ?? {};
  const seconds = typeof budget === "string" ? parseDuration(budget) : budget;
  return {
    ...(rest as Configuration["migrate"]),
    ...(seconds === undefined ? {} : { budgetSeconds: seconds }),
    ...(onCutover === undefined ? {} : { onCutover: hookOf(onCutover) }),
    ...(onRollback === undefined ? {} : { onRollback: hookOf(onRollback) }),
  };
}

function hookOf(hook: Hook | { readonly command: string | readonly string[] }): Hook {
  return typeof hook === "object" && "command" in hook ? hook.command : hook;
}

function archiveOf({ archive }: CheckedConfiguration): Configuration["archive"] {
  const { mode = "command", maxBacklog, policy = "database" } = archive ?? {};
  if (maxBacklog === undefined || policy === "chain") return { mode };
  return { mode, maxBacklog: parseSize(maxBacklog) };
}

function trafficOf({ traffic }: CheckedConfiguration, directory: string): Configuration["traffic"] {
  if (!traffic) return null;
  return { program: resolve(directory, traffic.program), rate: traffic.rate ?? DEFAULT_RATE };
}

function postgresOf(
  postgres: NonNullable<CheckedConfiguration["postgres"]>,
  directory: string,
): PostgresPlace {
  const { url, dataDirectory, binDirectory, backupFrom, extraPaths } = postgres;
  return {
    url,
    ...(backupFrom === undefined ? {} : { backupFrom }),
    ...(extraPaths === undefined ? {} : { extraPaths: extraPaths.map((path) => resolve(path)) }),
    ...(dataDirectory === undefined ? {} : { dataDirectory: resolve(directory, dataDirectory) }),
    ...(binDirectory === undefined ? {} : { binDirectory: resolve(directory, binDirectory) }),
  };
}
