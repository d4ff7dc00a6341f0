import { resolve } from "node:path";
import {
  byChain,
  chosenBackup,
  type DatabaseFolder,
  type Engine,
  type EngineStatus,
  LifeboatError,
  SAFE_NAME,
  type WatchNote,
} from "@lifeboat/core";
import type { ConfiguredDatabase } from "./configured-database.ts";
import { detailsOf } from "./details.ts";
import { lastCommitBefore, settledTarget } from "./idle-target.ts";
import { inspectDatabases } from "./inspect.ts";
import { DEFAULT_LIMITS, type SnapshotLimits } from "./limits.ts";
import { checkLog } from "./log/check.ts";
import { wordOfWatch } from "./log/lost-segments.ts";
import { reachOfLog } from "./log/reach.ts";
import { planRecovery } from "./log.ts";
import { SpareReader } from "./raw/spare-reader.ts";
import { assertPlaceIsFree, placeOf } from "./restore/place.ts";
import { restoreDatabase } from "./restore.ts";
import { reviveDatabase } from "./revive.ts";
import { refuseForeignOptions } from "./snapshot/options.ts";
import { obstacleToIncrement } from "./snapshot/parent-hashes.ts";
import { takeSnapshot } from "./snapshot.ts";
import { WATCH_LIMITS, type WatchLimits } from "./watch/limits.ts";
import type { ShippedDatabase } from "./watch/shipped-database.ts";
import { watchDatabase } from "./watch/watch-database.ts";
import { watchStatus } from "./watch/watch-status.ts";

export interface SqliteEngineInit {
  /** The app's databases; none where only the repository is at hand. */
  readonly databases: readonly { readonly name: string; readonly path: string }[];
  readonly limits?: Partial<SnapshotLimits>;
  /** Those whose log is being shipped by this process; its own watches are in it. */
  readonly shipping?: Map<string, ShippedDatabase>;
  /**
   * A directory of this account alone, in which a watch and a backup of one database find each other. Left
   * out: a backup in another process than the watch copies in the slower way.
   */
  readonly watchDirectory?: string;
  /** How its watches pace themselves. */
  readonly watchLimits?: Partial<WatchLimits>;
}

/**
 * The engine for SQLite databases.
 * @throws LifeboatError kind `usage` when a name cannot be a folder's, or is given twice
 */
export function sqliteEngine(init: SqliteEngineInit): Engine {
  const databases = checked(init.databases);
  const shipping = init.shipping ?? new Map<string, ShippedDatabase>();
  const watchLimits = { ...WATCH_LIMITS, ...init.watchLimits };
  const directory = init.watchDirectory;
  const limits = { ...DEFAULT_LIMITS, ...init.limits };
  const spare = new SpareReader();
  const live = () => {
    if (databases.length === 0) throw notConfigured();
    return databases;
  };
  const named = (name: string) =>
    live().find((database) => database.name === name) ?? unknownDatabase(name);

  return {
    kind: "sqlite",
    databases: async () => live().map(({ name }) => name),
    inspect: async () => inspectDatabases(live()),
    refuseOptions: async (options) => refuseForeignOptions(options),
    warmUp: async () => spare.begin(),
    snapshot: async (request) =>
      takeSnapshot(named(request.folder.database), request, {
        ...{ limits, shipping, directory, spare },
      }),
    obstacleToBuildOn: async (folder, parents) =>
      obstacleToIncrement(named(folder.database), folder, parents),
    watch: async (request) =>
      watchDatabase(named(request.folder.database), request, {
        ...{ limits: watchLimits, shipping, directory },
      }),
    status: async (folder, note) =>
      statusOf(folder ? [named(folder.database)] : live(), { folder, note, directory }),
    reach: (folder, backups, { without = new Set() } = {}) => {
      const usable = byChain(backups.filter(({ id }) => !without.has(id))).whole;
      return reachOfLog(folder, byChain(backups).whole, { usable, directory });
    },
    holdsIdle: async (folder, backups, at) =>
      (await lastCommitBefore(folder, backups, { at, directory })) !== undefined,
    plan: async (folder, backups, target, options) => {
      const settled = await settledTarget(folder, backups, { target, directory });
      return { ...(await planRecovery(folder, backups, settled, options)), target };
    },
    assertPlace: async ({ plan, to, force }) =>
      assertPlaceIsFree(placeOf(to, detailsOf(chosenBackup(plan)).fileName), force),
    restore: async (request) => restoreDatabase(request, limits),
    revive: reviveDatabase,
    verifyLog: async (folder, backups, { drills = [], ...options }) => {
      const watch = await wordOfWatch(folder, directory);
      return checkLog(folder, backups, { ...options, witnesses: { drills, watch } });
    },
  };
}

async function statusOf(
  databases: readonly ConfiguredDatabase[],
  watched: {
    readonly folder: DatabaseFolder | null;
    readonly note: WatchNote | null;
    readonly directory: string | undefined;
  },
): Promise<EngineStatus> {
  const { folder, note, directory } = watched;
  const findings = await inspectDatabases(databases);
  const faults = findings.filter(({ severity }) => severity === "error");
  const status = await watchStatus(folder, note, directory);
  return { ...status, alerts: [...faults, ...status.alerts] };
}

function checked(
  databases: readonly { readonly name: string; readonly path: string }[],
): readonly ConfiguredDatabase[] {
  const names = new Set<string>();
  return databases.map(({ name, path }) => {
    if (!SAFE_NAME.test(name))
      throw badName(name, "cannot be a database's name", "letters, digits, hyphens, dots");
    if (names.has(name)) throw badName(name, "names two databases", "a name of its own for each");
    names.add(name);
    return { name, path: resolve(path) };
  });
}

function badName(name: string, what: string, wanted: string): LifeboatError {
  return new LifeboatError({
    code: "DATABASE_NAME_INVALID",
    kind: "usage",
    message: `${JSON.stringify(name)} ${what}`,
    remedy: `give sqlite.name in the configuration ${wanted}; it becomes a folder in the repository`,
  });
}

function notConfigured(): LifeboatError {
  return new LifeboatError({
    code: "ENGINE_NOT_CONFIGURED",
    kind: "usage",
    message: "no SQLite database is configured",
    remedy: 'name it in the configuration: "sqlite": { "path": "/srv/app/app.db" }',
  });
}

function unknownDatabase(name: string): never {
  throw new LifeboatError({
    code: "DATABASE_UNKNOWN",
    kind: "usage",
    message: `no SQLite database ${name} is configured`,
    remedy: "compare sqlite in the configuration with the folders in the repository",
  });
}
