import { resolve } from "node:path";
import { anotherWay, noWayLeft } from "./another-way.ts";
import { chosenBackup } from "./backup-chain.ts";
import { type ChosenRestore, chooseRestore } from "./choose-restore.ts";
import { latestAhead } from "./clock-behind.ts";
import { stepsOf } from "./described-step.ts";
import type {
  DeltaCounts,
  Engine,
  Extracted,
  ExtractRequest,
  RestoredDatabase,
  RestoreRequest,
  VerifiedBy,
} from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import type { Finding } from "./finding.ts";
import { lostLogFindings, lostOfLog } from "./lost-log.ts";
import { laterWithoutManifest } from "./manifests-missing.ts";
import { markFindings } from "./mark-findings.ts";
import { notRestored } from "./not-restored.ts";
import { runSteps, type Step, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { type RestoreStepId, restoreSteps } from "./restore-steps.ts";
import type { RecoveryTarget } from "./window.ts";

export interface RestoreOrder {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  /** Left out: the target decides. */
  readonly engine?: EngineKind | undefined;
  /** The engine that is live now, for targets that name none; null where only the repository is known. */
  readonly live?: EngineKind | null;
  /** Only this database, of several. */
  readonly database?: string | undefined;
  readonly target: RecoveryTarget;
  readonly timeline?: number | undefined;
  /** The directory to restore into. */
  readonly to: string;
  readonly tablespaceMapping: ReadonlyMap<string, string>;
  readonly force: boolean;
  /** Keep what agrees with the backup in the directory, which is a data directory of the same database. */
  readonly delta?: boolean | undefined;
  /** Leave out the engine's own check of the copy: SQLite's `integrity_check`, `pg_verifybackup`. */
  readonly skipCheck?: boolean | undefined;
  /** How many objects are unpacked at once; the engine's own choice when left out. */
  readonly jobs?: number | undefined;
  /** Also bring the copy to life, let it recover, and stop it again. */
  readonly replay: boolean;
  /** Bring the copy to life, let it recover, and take one part out of it. */
  readonly extract?: Pick<ExtractRequest, "name" | "into"> | undefined;
  readonly fetchCommand: readonly string[];
  readonly signal: AbortSignal;
  readonly run?: StepRunner | undefined;
}

/** One restored database. */
export interface RestoredReport {
  readonly engine: EngineKind;
  readonly database: string;
  readonly backup: string;
  readonly path: string;
  readonly target: RecoveryTarget["kind"];
  readonly willRecoverTo: { readonly time: string | null; readonly lsn: string | null };
  readonly recoveredTo: string | null;
  /** Up to where its WAL was really replayed; null unless it was. */
  readonly recoveredLsn: string | null;
  readonly bytes: number;
  readonly seconds: number;
  /** What was taken out of the copy; null where nothing was asked for. */
  readonly extracted: Extracted | null;
  /** What `delta` kept and wrote; null without it. */
  readonly delta: DeltaCounts | null;
  /** The engine's own program that found the copy whole; null where there is none on this host. */
  readonly verified: VerifiedBy | null;
}

export interface RestoreReport extends RestoredReport {
  readonly databases: readonly RestoredReport[];
  readonly findings: readonly Finding[];
}

/**
 * Restores an app's databases into a directory, from the repository alone. What stands there is
 * touched only with `force`; a copy gets its name only when all of it was checked. Where a backup is damaged, and
 * another one with the log leads to the same state, that one is taken, and a finding tells so.
 *
 * @throws LifeboatError kind `not-found` when the target cannot be had, before anything is written;
 *   kind `refused` when the directory is in the way; kind `failed` naming the object that is damaged
 */
export async function restore(order: RestoreOrder): Promise<RestoreReport> {
  const reports: RestoredReport[] = [];
  const findings: Finding[] = markFindings(order.repository, "warning");
  const choices = await chooseRestore(order);
  findings.push(...(await notRestored(order, choices)));
  const [to, { force }] = [resolve(order.to), order];
  for (const { engine, plan } of choices) await engine.assertPlace?.({ plan, to, force });
  for (const choice of choices) {
    const { report, copy, done, damaged } = await restoreOne(order, choice);
    reports.push(report);
    findings.push(
      ...damaged,
      ...(done.plan.findings ?? []),
      ...copy.findings,
      ...endsBefore(order.target, done),
    );
    if (order.target.kind !== "latest") continue;
    const { time } = copy.willRecoverTo;
    findings.push(...latestAhead(time));
    findings.push(...(await lackedBy(order.repository, done, time)));
  }
  const [first] = reports as [RestoredReport];
  return {
    ...first,
    bytes: reports.reduce((bytes, each) => bytes + each.bytes, 0),
    seconds: reports.reduce((seconds, each) => seconds + each.seconds, 0),
    databases: reports,
    findings,
  };
}

/** What the newest state may lack. The copy is in its place by then: where this cannot be looked for it has come back all the same. */
async function lackedBy(
  repository: Repository,
  { engine, folder }: ChosenRestore,
  time: string | null,
): Promise<Finding[]> {
  try {
    const later = await laterWithoutManifest(repository, folder, time);
    return [...later, ...lostLogFindings(await lostOfLog(repository, engine, folder), "warning")];
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [
      {
        id: "later-state-unknown",
        severity: "warning",
        summary: `the copy is whole, and whether the repository has lost a later state could not be looked for: ${thrown.message}`,
        remedy: "ask lifeboat verify, once the repository answers again",
      },
    ];
  }
}

/** An instant past the last commit that the log holds is recovered to that commit: worth knowing. */
function endsBefore(target: RecoveryTarget, { engine, plan }: ChosenRestore): Finding[] {
  const { time } = plan.willRecoverTo;
  if (target.kind !== "time" || time === null || Date.parse(time) >= target.at.getTime()) return [];
  return [
    {
      id: "last-commit-before-target",
      severity: "info",
      summary: `the newest commit in the repository before ${target.at.toISOString()} is of ${time}: the copy recovers to that one`,
      remedy: `if you know of a later one, it was not ${NOT_THERE_YET[engine.kind]}`,
    },
  ];
}

/** Where a commit is before it is in the repository. */
const NOT_THERE_YET: Readonly<Record<EngineKind, string>> = {
  sqlite: "shipped yet: look at lifeboat status, and at the database itself",
  postgres: "archived yet: look at lifeboat status, and at the server's pg_wal",
};

interface RestoredOne {
  readonly report: RestoredReport;
  readonly copy: RestoredDatabase;
  /** By which plan it was restored in the end. */
  readonly done: ChosenRestore;
  /** The backups that could not be had, though the log leads to the same state from another. */
  readonly damaged: readonly Finding[];
}

async function restoreOne(order: RestoreOrder, choice: ChosenRestore): Promise<RestoredOne> {
  const { run = runSteps, signal } = order;
  const { engine, folder } = choice;
  const damaged: Finding[] = [];
  const without = new Set<string>();
  let first: unknown;
  let { plan } = choice;
  const started = performance.now();
  let copy = {} as RestoredDatabase;
  let replayedTo: string | null = null;
  let recoveredLsn: string | null = null;
  let extracted: Extracted | null = null;
  if (order.extract && engine.kind !== "postgres") throw nothingToExtract(folder.database);

  const runs: Readonly<Record<RestoreStepId, Step["run"]>> = {
    restore: async (report) => {
      for (;;) {
        signal.throwIfAborted();
        try {
          copy = await engine.restore(requestOf(order, { folder, plan, report }));
          return;
        } catch (thrown) {
          const other = await anotherWay(order, { ...choice, plan }, { thrown, without });
          if (!other) throw noWayLeft(first, thrown);
          first ??= thrown;
          ({ plan } = other);
          damaged.push(other.finding);
        }
      }
    },
    replay: async (report) => {
      const revived = await engine
        .revive({ folder, plan, restored: copy, report, signal })
        .catch((cause) => {
          throw signal.aborted ? replayStopped(copy.path, cause) : replayFailed(copy.path, cause);
        });
      // With no commit since its base, what the copy holds is the backup's own state.
      replayedTo = revived.recoveredTo ?? chosenBackup(plan).consistentAt;
      recoveredLsn = revived.recoveredLsn;
      try {
        if (order.extract) {
          report({ note: `extracting ${order.extract.name}` });
          extracted = (await revived.extract?.({ ...order.extract, signal })) ?? null;
        }
      } finally {
        await revived.close();
      }
    },
  };

  const isReplayed = order.replay || order.extract !== undefined;
  const steps = restoreSteps(folder.database).filter(({ id }) => id !== "replay" || isReplayed);
  await run(stepsOf(steps, runs));
  const report: RestoredReport = {
    engine: engine.kind,
    database: folder.database,
    backup: chosenBackup(plan).id,
    path: copy.path,
    target: order.target.kind,
    willRecoverTo: copy.willRecoverTo,
    recoveredTo: replayedTo ?? copy.recoveredTo,
    recoveredLsn,
    bytes: copy.bytes,
    seconds: secondsSince(started),
    extracted,
    delta: copy.delta ?? null,
    verified: copy.verified ?? null,
  };
  return { report, copy, done: { ...choice, plan }, damaged };
}

function requestOf(
  order: RestoreOrder,
  what: Pick<RestoreRequest, "folder" | "plan" | "report">,
): RestoreRequest {
  const { tablespaceMapping, force, delta, skipCheck, jobs, fetchCommand, signal } = order;
  return {
    ...what,
    to: resolve(order.to),
    tablespaceMapping,
    tablespaceRoot: null,
    force,
    delta,
    skipCheck: skipCheck ?? false,
    jobs,
    fetchCommand,
    extract: order.extract,
    signal,
  };
}

function nothingToExtract(database: string): LifeboatError {
  return new LifeboatError({
    code: "EXTRACT_UNFIT",
    kind: "usage",
    message: `${database} is a SQLite file, out of which nothing needs extracting`,
    remedy: "restore it, then: sqlite3 FILE .dump TABLE",
  });
}

/** The copy has its name by then, and is whole. */
function replayStopped(path: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "REPLAY_STOPPED",
    message: `stopped while ${path} was replaying its WAL`,
    remedy: `the copy stays and goes on recovering when it is started; to begin again, remove ${path} or restore with --force`,
    details: { path },
    cause,
  });
}

/** A drill's copy goes with it, and this one stays: only here is it known which it is. */
function replayFailed(path: string, cause: unknown): unknown {
  if (!(cause instanceof LifeboatError)) return cause;
  const { code, kind, message, remedy, details } = cause;
  const stays = `${remedy}; ${path} is left as it is, without a server`;
  return new LifeboatError({ code, kind, message, remedy: stays, details, cause });
}

/** Seconds since a mark of `performance.now()`, to the millisecond. */
export function secondsSince(mark: number): number {
  return Math.round(performance.now() - mark) / 1000;
}
