import { join } from "node:path";
import { type RecordedStep, runSteps, type StepRunner } from "@lifeboat/core";
import type { CutoverReport, CutoverRequest, GateName, RollbackReport } from "@lifeboat/migrate";
import { engineOf } from "../config/engine.ts";
import { storageOf } from "../config/storage.ts";
import type { Configuration } from "../configuration.ts";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import { type RehearsalPlace, rehearse } from "../rehearse.ts";
import type { Session } from "../session.ts";

/** What a rehearsal of a cutover gives: the times that the real one should have. */
export interface Rehearsal {
  readonly phase: "cutover";
  readonly rehearsal: true;
  readonly id: string;
  readonly tables: CutoverReport["tables"];
  readonly findings: CutoverReport["findings"];
  readonly gates: CutoverReport["gates"];
  readonly holdSeconds: number;
  readonly switchSeconds: number;
  /** Of the way back. */
  readonly rollback: Pick<RollbackReport, "rows" | "holdSeconds" | "switchSeconds">;
  /** Commits of the product's traffic meanwhile; null without any. */
  readonly commits: number | null;
  readonly steps: readonly RecordedStep[];
  readonly seconds: number;
}

/** What a rehearsal is given by its caller. */
export interface RehearsalRun {
  readonly run: StepRunner;
  /** Where the runner notes how each step went. */
  readonly steps: readonly RecordedStep[];
  /** Gates that need not be met. */
  readonly skip: readonly GateName[];
}

/** The times of a move that no writer waited for are not those of the real one. */
const TRAFFIC_IDLE = {
  id: "traffic-idle",
  severity: "warning",
  summary:
    "the product's traffic told of no commit while the copy was loaded, followed and compared: these are the times of a product that writes nothing. See that its program goes on writing, at the rate of traffic.rate, and prints a line for each commit",
} as const;

/**
 * Runs a whole migration on copies of both databases under the product's own traffic, cutover and rollback included, and
 * leaves nothing behind. The gates that ask the real repository are not asked, and the product's own switch is not run: its
 * traffic is switched in its place. Of the real server it is only asked what the product's role may do there, which no copy can tell.
 * @throws whatever the real run would; the copies are gone then, too
 */
export async function rehearseCutover(
  session: Session,
  { run, steps, skip }: RehearsalRun,
): Promise<Rehearsal> {
  const started = performance.now();
  const gates = await rightsThere(session);
  return rehearse(session, async (place, signal) => {
    const { appRole: _, ...migration } = await migrationRequest(session);
    const configuration = copiesOf(await session.configuration(), place);
    const request = {
      ...migration,
      sqlite: { path: place.sqlitePath },
      postgres: { url: place.postgresUrl },
      run,
      signal,
    };
    const migrate = await import("@lifeboat/migrate");
    const { traffic } = place;
    const before = traffic?.commits ?? 0;
    await migrate.loadMigration({ ...request, live: true });
    await migrate.syncMigration({ ...request, until: "caught-up" });
    // As in the real one a sync goes on meanwhile, and the cutover takes over from it.
    const stop = new AbortController();
    const following = migrate.syncMigration({
      ...request,
      run: runSteps,
      signal: AbortSignal.any([signal, stop.signal]),
    });
    // It is waited for in the end, and may fail before.
    following.catch(() => undefined);
    await using _following = {
      async [Symbol.asyncDispose]() {
        stop.abort();
        await following;
      },
    };
    const verified = await migrate.verifyMigration(request);
    const idle =
      traffic !== null && traffic.commits === before ? [migrate.finding(TRAFFIC_IDLE)] : [];
    const { budgetSeconds } = configuration.migrate;
    const budget = budgetSeconds === undefined ? {} : { budgetSeconds };
    const moved = await migrate.cutoverMigration({
      ...request,
      ...budget,
      gates,
      skip,
      backup: backupOfCopy(configuration),
      onCutover: async (limit) => traffic?.switchTo({ url: place.postgresUrl }, limit),
    });
    const back = await migrate.rollbackMigration({
      ...request,
      ...budget,
      onRollback: async (limit) => traffic?.switchTo({ database: place.sqlitePath }, limit),
    });
    return {
      phase: "cutover",
      rehearsal: true,
      id: moved.id,
      tables: moved.tables,
      findings: [...verified.findings, ...moved.findings, ...idle],
      gates: moved.gates,
      holdSeconds: moved.holdSeconds,
      switchSeconds: moved.switchSeconds,
      rollback: {
        rows: back.rows,
        holdSeconds: back.holdSeconds,
        switchSeconds: back.switchSeconds,
      },
      commits: traffic?.commits ?? null,
      steps,
      seconds: (performance.now() - started) / 1000,
    };
  });
}

/** Asked before the copies are made, told with the gates: the copy's server has none of the real one's roles. */
async function rightsThere(session: Session): Promise<NonNullable<CutoverRequest["gates"]>> {
  const { migrate } = await session.configuration();
  if (migrate.appRole === undefined) return {};
  const { askAppRights, rightsGate } = await import("@lifeboat/migrate");
  const { appRole: role, schema = "public" } = migrate;
  const rights = await askAppRights(
    await migrationTarget(session),
    { role, schema },
    session.signal,
  );
  return { rights: async () => rightsGate(rights) };
}

/** The configuration as it would be with the copies in place of the product, and a repository that goes with them. */
function copiesOf(configuration: Configuration, place: RehearsalPlace): Configuration {
  const [source] = configuration.sqlite;
  return {
    ...configuration,
    repository: { type: "filesystem", path: join(place.folder, "repository") },
    sqlite: [{ name: source?.name ?? "app", path: place.sqlitePath }],
    postgres: { url: place.postgresUrl },
    archive: { mode: "command" },
  };
}

function backupOfCopy(configuration: Configuration) {
  return async (kind: "sqlite" | "postgres", signal: AbortSignal): Promise<string> => {
    const [{ openRepository }, { backup }, storage] = await Promise.all([
      import("../open-repository.ts"),
      import("../operations.ts"),
      storageOf(configuration.repository),
    ]);
    const { app, compression } = configuration;
    const repository = await openRepository({ storage, app, mode: "write", compression });
    const engine = engineOf(kind, configuration);
    return (await backup({ repository, engine, type: "full", options: {}, signal })).id;
  };
}
