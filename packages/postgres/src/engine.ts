import {
  backupChain,
  byChain,
  chosenBackup,
  type Engine,
  LifeboatError,
  type Manifest,
} from "@lifeboat/core";
import { findingsFor } from "./archive/findings.ts";
import { isStillToCome } from "./archive/still-to-come.ts";
import { type ArchiveChoice, watchServer } from "./archive/watch-server.ts";
import { type ServerConnection, withClient } from "./connection/connection.ts";
import { postgresDetails } from "./details.ts";
import { describeServer } from "./facts/server-facts.ts";
import { inspectServer } from "./inspect.ts";
import { logReach, planRecovery, verifyWal } from "./log.ts";
import { damageProof } from "./restore/damage.ts";
import { restorePostgres } from "./restore.ts";
import { revivePostgres } from "./revive.ts";
import { asksForSeveral, refuseContradictions } from "./snapshot/choices.ts";
import { obstacleOfPast } from "./snapshot/parents-run.ts";
import { isPart } from "./snapshot/stored-parts.ts";
import { takeSnapshot } from "./snapshot.ts";
import { serverStatus } from "./status.ts";

export interface PostgresEngineInit {
  /** The live server; without it the engine serves what needs only the repository. */
  readonly connection?: ServerConnection;
  /** The folder of the programs that restored copies are run with; found when left out. */
  readonly binDirectory?: string;
  /** How WAL gets into the repository; by the server's archive_command when left out. */
  readonly archive?: ArchiveChoice;
}

/** Postgres behind core's seam: one cluster, all its databases. */
export function postgresEngine(init: PostgresEngineInit): Engine {
  const binDirectory = init.binDirectory ?? init.connection?.binDirectory;
  const archive = init.archive ?? { mode: "command" };
  const live = () => {
    if (init.connection) return init.connection;
    throw notConfigured();
  };
  return {
    kind: "postgres",
    databases: async () =>
      withClient(live(), async (client) => [(await describeServer(client)).systemIdentifier]),
    inspect: async () => findingsFor(await inspectServer(live()), archive),
    refuseOptions: async (options) => refuseContradictions(options),
    canGoOnWith: async (object, options) => asksForSeveral(options) && isPart(object),
    async snapshot(request) {
      const taken = await takeSnapshot(live(), request);
      return { ...taken, findings: findingsFor(taken.findings, archive) };
    },
    obstacleToBuildOn: (folder, parents) =>
      obstacleOfPast(live(), folder, parents.at(-1) ?? parents[0]),
    watch: (request) => watchServer(live(), archive, request),
    status: async (folder, note) => serverStatus(live(), { folder, archive, note }),
    async reach(folder, backups, { without = new Set() } = {}) {
      const { connection } = init;
      const reachFrom = (usable: readonly Manifest[]) =>
        logReach(folder, byChain(usable).whole, async (hole) =>
          connection === undefined ? false : isStillToCome(connection, archive, hole),
        );
      const reach = await reachFrom(backups);
      if (without.size === 0) return reach;
      const { windows } = await reachFrom(backups.filter(({ id }) => !without.has(id)));
      return { ...reach, windows };
    },
    async plan(folder, backups, target, { timeline, without = new Set() }) {
      const left = backups.filter(({ id }) => !without.has(id));
      // The WAL leads to any state from an older base too: only who names a backup must have that one.
      const usable = target.kind === "backup" ? left : byChain(left).whole;
      const plan = await planRecovery({ folder, backups: usable, timeline }, target);
      return { ...plan, backups: backupChain(plan.backups[0], backups) };
    },
    restore: (request) => restorePostgres(request, { binDirectory }),
    async revive(request) {
      const chosen = chosenBackup(request.plan);
      const revived = await revivePostgres(request, { binDirectory, database: databaseOf(chosen) });
      const prove = revived.prove.bind(revived);
      return Object.assign(revived, {
        prove: async () => [...(await prove()), ...damageProof(chosen)],
      });
    },
    verifyLog: verifyWal,
  };
}

/** Where a query goes that names no database: to the one that the backup was taken through. */
function databaseOf(manifest: Manifest): string | undefined {
  return postgresDetails(manifest).database ?? undefined;
}

function notConfigured(): LifeboatError {
  return new LifeboatError({
    code: "ENGINE_NOT_CONFIGURED",
    kind: "usage",
    message: "no live Postgres server is configured",
    remedy: "name it in the configuration: postgres.url",
  });
}
