import type { Engine, EngineKind } from "@lifeboat/core";
import type { Configuration } from "../configuration.ts";
import { stateDirectory } from "../state-directory.ts";

/** The engine of a kind: a line for each. Without a database in the configuration it reads backups only. */
async function loadEngine(
  kind: EngineKind,
  configuration: Configuration | undefined,
): Promise<Engine> {
  switch (kind) {
    case "sqlite": {
      const { sqliteEngine } = await import("@lifeboat/sqlite");
      const databases = configuration?.sqlite ?? [];
      // Whoever only restores has nothing of this host to remember.
      const state = databases.length === 0 ? {} : { watchDirectory: stateDirectory() };
      return sqliteEngine({ databases, ...state });
    }
    case "postgres": {
      const { postgresEngine } = await import("@lifeboat/postgres");
      const connection = configuration?.postgres;
      return postgresEngine(connection ? { connection, archive: configuration.archive } : {});
    }
  }
}

/**
 * The engine of a kind, imported when it is first asked for something: a repository that holds only
 * the other one's backups costs nothing, and a host without this one's libraries can restore them.
 */
export function engineOf(kind: EngineKind, configuration: Configuration | undefined): Engine {
  let loading: Promise<Engine> | undefined;
  const engine = () => {
    loading ??= loadEngine(kind, configuration);
    return loading;
  };
  return {
    kind,
    databases: async () => (await engine()).databases(),
    inspect: async () => (await engine()).inspect(),
    refuseOptions: async (options) => (await engine()).refuseOptions(options),
    warmUp: async () => (await engine()).warmUp?.(),
    canGoOnWith: async (object, options) =>
      (await (await engine()).canGoOnWith?.(object, options)) ?? false,
    snapshot: async (request) => (await engine()).snapshot(request),
    obstacleToBuildOn: async (folder, parents) =>
      (await (await engine()).obstacleToBuildOn?.(folder, parents)) ?? null,
    watch: async (request) => (await engine()).watch(request),
    status: async (folder, note) => (await engine()).status(folder, note),
    reach: async (folder, backups, options) => (await engine()).reach(folder, backups, options),
    holdsIdle: async (folder, backups, at) =>
      (await (await engine()).holdsIdle?.(folder, backups, at)) ?? false,
    plan: async (folder, backups, target, options) =>
      (await engine()).plan(folder, backups, target, options),
    assertPlace: async (request) => (await engine()).assertPlace?.(request),
    restore: async (request) => (await engine()).restore(request),
    revive: async (request) => (await engine()).revive(request),
    verifyLog: async (folder, backups, options) =>
      (await engine()).verifyLog(folder, backups, options),
  };
}
