import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Report, Step } from "@lifeboat/core";
import type { ScratchCluster } from "@lifeboat/postgres";
import type { Configuration } from "./configuration.ts";
import { databaseOf } from "./drill-checks.ts";
import { migrationSource, migrationTarget } from "./migration-request.ts";
import { Traffic } from "./rehearse/traffic.ts";
import type { Session } from "./session.ts";

/** Both sides of a migration as copies, with the product's traffic on SQLite. */
export interface RehearsalPlace {
  /** The newest state that the repository holds, restored aside. */
  readonly sqlitePath: string;
  /** An empty database of the same name, in a cluster of the live server's major version. It holds no password. */
  readonly postgresUrl: string;
  /** A folder that goes when the rehearsal ends: for a repository of its own. */
  readonly folder: string;
  /** Writes to SQLite since before the work began; null where the configuration names none. */
  readonly traffic: Traffic | null;
}

/**
 * Does something on copies of both databases, while the product's own traffic runs, and takes everything away in the end,
 * also when it fails or is stopped. The live databases are only asked for what they are and never written.
 * @throws LifeboatError kind `usage` without both databases; what restoring, starting or the work throws; `TRAFFIC_FAILED`
 */
export async function rehearse<Result>(
  session: Session,
  work: (place: RehearsalPlace, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const source = await migrationSource(session);
  await migrationTarget(session);
  const configuration = await session.configuration();
  const { makeScratch } = await import("@lifeboat/core");
  await using taken = new AsyncDisposableStack();
  const folder = await makeScratch();
  taken.defer(() => rm(folder, { recursive: true, force: true }));
  // The copy of a product's data lies here, and no other account has anything to do with it.
  await chmod(folder, 0o700);
  const { signal } = session;
  const traffic = configuration.traffic && taken.use(new Traffic(configuration.traffic));
  let sqlitePath = "";
  let cluster: ScratchCluster | undefined;
  const steps: Step[] = [
    {
      title: "restore SQLite aside",
      run: async (report) => {
        sqlitePath = await restoreAside(session, source.name, folder, report);
        // Once the product is loaded, its backups hold what that migration has made in it.
        const { releaseCopy } = await import("@lifeboat/migrate");
        releaseCopy(sqlitePath);
      },
    },
    {
      title: "start a Postgres of its own",
      run: async () => {
        cluster = await scratchCluster(configuration, signal);
        taken.defer(cluster.close);
      },
    },
  ];
  if (traffic)
    steps.push({
      title: "start the product's traffic",
      run: () => traffic.start({ database: sqlitePath }, signal),
    });
  await session.run(steps);
  const postgresUrl = (cluster as ScratchCluster | undefined)?.url ?? "";
  const result = await work({ sqlitePath, postgresUrl, folder, traffic }, signal);
  await traffic?.stop();
  signal.throwIfAborted();
  return result;
}

async function restoreAside(
  session: Session,
  database: string,
  folder: string,
  report: Report,
): Promise<string> {
  const { restore } = await import("./operations.ts");
  const restored = await restore({
    repository: await session.openRepository("read"),
    engines: await session.engines(),
    engine: "sqlite",
    database,
    target: { kind: "latest" },
    to: join(folder, "sqlite"),
    tablespaceMapping: new Map(),
    force: false,
    replay: false,
    fetchCommand: [],
    signal: session.signal,
    run: async (inner) => {
      for (const step of inner) await step.run(report);
    },
  });
  return restored.path;
}

async function scratchCluster(
  { postgres }: Configuration,
  signal: AbortSignal,
): Promise<ScratchCluster> {
  const like = postgres as NonNullable<typeof postgres>;
  const { startScratchCluster } = await import("@lifeboat/postgres");
  return startScratchCluster({ like, database: databaseOf(like.url) ?? "postgres", signal });
}
