import { access, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { chosenBackup } from "./backup-chain.ts";
import { type ChosenRestore, chooseRestore } from "./choose-restore.ts";
import { type DrilledDatabase, type DrillRecord, drillId } from "./drill-record.ts";
import { type DrillCheck, DrillRun } from "./drill-run.ts";
import type { Engine } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError, reasonOf } from "./errors.ts";
import type { Finding } from "./finding.ts";
import { markFindings } from "./mark-findings.ts";
import { notRestored } from "./not-restored.ts";
import { runSteps, type StepRunner } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { secondsSince } from "./restore.ts";
import { keepScratch, makeScratch } from "./scratch.ts";
import type { RecoveryTarget } from "./window.ts";

export interface DrillRequest {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  readonly engine?: EngineKind | undefined;
  /** The engine that is live now, for targets that name none; null where only the repository is known. */
  readonly live?: EngineKind | null;
  /** Only this database, of several. */
  readonly database?: string | undefined;
  readonly target: RecoveryTarget;
  readonly checks: (engine: EngineKind) => readonly DrillCheck[];
  /** Leave the restored copies, stopped, and say in the report, or in the failure, where. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
  readonly run?: StepRunner | undefined;
}

/** What is left of a drill that was told to keep it. */
interface Kept {
  /** Where the copies were left. */
  readonly kept: string | null;
  /** All that was said by the server that was started on the copy, where there was one. */
  readonly serverLog: string | null;
}

export interface DrillReport extends DrillRecord, Kept {
  /** What is wrong with the repository, and kept no copy from coming back; and which of several databases the drill says nothing of. */
  readonly findings: readonly Finding[];
  /** Why the result is not in the repository; null when it is. */
  readonly notRecorded: string | null;
}

/**
 * Restores into a scratch place, brings the copies to life, asks whether they are sound and whether
 * what the product asserts is true, and records how long each part took: the measured recovery time. A
 * drill that finds something wrong, or cannot be recorded, returns `ok: false`.
 *
 * @throws LifeboatError when a copy could not be restored or brought to life; that is recorded as a
 *   failed drill, too. A copy that was to be kept is left all the same, if there is one, and named in the
 *   remedy and by `kept` and `serverLog` in the details
 */
export async function drill(request: DrillRequest): Promise<DrillReport> {
  const { repository, keep, signal, run = runSteps } = request;
  const started = performance.now();
  const startedAt = new Date();
  const choices = await chooseRestore(request);
  const scratch = await makeScratch();
  const runs: DrillRun[] = [];
  const record = () => recordOf(runs, startedAt, secondsSince(started));
  let left = NOTHING_KEPT;
  try {
    for (const choice of choices) {
      const own = join(scratch, choice.folder.database);
      const drillRun = new DrillRun(choice, {
        scratch: own,
        keep,
        checks: checksOf(request, choices, choice),
        signal,
      });
      runs.push(drillRun);
      // Passed through by other accounts, as the scratch folder itself: a server that we start runs as one.
      await mkdir(own, { mode: 0o711 });
      await run(drillRun.steps());
      await drillRun.close();
    }
    if (keep) left = await keepCopies(scratch, runs);
  } catch (cause) {
    // Stopped by hand is no verdict; anything else is the very thing that drills are for.
    if (signal.aborted) throw cause;
    const notRecorded = await recorded(repository, failed(record(), cause));
    // A copy that does not come up is the one to look at.
    if (keep && runs.some(({ isRestored }) => isRestored))
      left = await keepCopies(scratch, runs).catch(() => NOTHING_KEPT);
    throw withKept(withRecord(ofScratch(cause), notRecorded), left);
  } finally {
    for (const each of runs) await each.close();
    if (left.kept === null) await rm(scratch, { recursive: true, force: true });
  }
  const done = record();
  const findings = markFindings(repository, "warning");
  findings.push(...(await notRestored(request, choices)));
  return { ...withRecording(done, await recorded(repository, done)), ...left, findings };
}

/**
 * What is not recorded is no drill to `status`, and to whoever drills by the clock: it passed as a restore, and not as a drill. The reason is
 * an answer among the others, so that `ok`, the checks and the exit status say the same.
 */
function withRecording(record: DrillRecord, notRecorded: string | null) {
  if (notRecorded === null) return { ...record, notRecorded };
  const message = `${notRecorded}: status will not know of this drill`;
  const check = { name: NOT_RECORDED, ok: false, message };
  return { ...record, ok: false, checks: [...record.checks, check], notRecorded };
}

const NOT_RECORDED = "the drill is recorded in the repository";

const NOTHING_KEPT: Kept = { kept: null, serverLog: null };

async function keepCopies(scratch: string, runs: readonly DrillRun[]): Promise<Kept> {
  await keepScratch(scratch);
  for (const { serverLog } of runs)
    if (await isThere(serverLog)) return { kept: scratch, serverLog };
  return { kept: scratch, serverLog: null };
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Records a drill, and says why where that cannot be done: what the drill found counts for more than that it
 * is written down, and a repository that may only be read can be drilled as well.
 */
async function recorded(repository: Repository, record: DrillRecord): Promise<string | null> {
  try {
    await repository.writeDrill(record);
    return null;
  } catch (cause) {
    if (cause instanceof LifeboatError) return cause.message;
    throw cause;
  }
}

/** Of several SQLite databases each check belongs to the one that it names, or to the first. */
function checksOf(
  request: DrillRequest,
  choices: readonly ChosenRestore[],
  { engine, folder }: ChosenRestore,
): readonly DrillCheck[] {
  const checks = request.checks(engine.kind);
  if (choices.length === 1) return checks;
  const first = choices[0]?.folder.database;
  return checks.filter(({ database }) => (database ?? first) === folder.database);
}

function recordOf(runs: readonly DrillRun[], startedAt: Date, total: number): DrillRecord {
  const [{ choice }] = runs as [DrillRun];
  const sum = (part: keyof DrillRun["seconds"]) =>
    Math.round(runs.reduce((seconds, run) => seconds + run.seconds[part], 0) * 1000) / 1000;
  const several = runs.length > 1;
  const checks = runs.flatMap(({ answers, choice: { folder } }) =>
    answers.map((answer) =>
      several ? { ...answer, name: `${folder.database}: ${answer.name}` } : answer,
    ),
  );
  return {
    ok: checks.every(({ ok }) => ok),
    id: drillId(startedAt),
    app: choice.folder.app,
    engine: choice.engine.kind,
    database: runs.map((run) => run.choice.folder.database).join(", "),
    backup: chosenBackup(choice.plan).id,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    recoveredTo: runs.map(({ recoveredTo }) => recoveredTo).sort()[0] ?? null,
    ...(several && { databases: runs.map(drilled) }),
    seconds: {
      fetch: sum("fetch"),
      restore: sum("restore"),
      replay: sum("replay"),
      checks: sum("checks"),
      total,
    },
    checks,
  };
}

/** A restore is told to go to another disk; a drill's copy goes where TMPDIR says. */
function ofScratch(cause: unknown): unknown {
  if (!(cause instanceof LifeboatError) || !WITHOUT_ROOM.includes(cause.code)) return cause;
  const { code, kind, message, details } = cause;
  const remedy = "set TMPDIR to a directory on a disk with room for the whole copy";
  return new LifeboatError({ code, kind, message, remedy, details, cause });
}

/** As the engines say that there is no room for what they restore. */
const WITHOUT_ROOM = ["NO_SPACE", "TARGET_FULL"];

/** The failure comes first; that nobody else will hear of it belongs to it. */
function withRecord(cause: unknown, notRecorded: string | null): unknown {
  if (notRecorded === null || !(cause instanceof LifeboatError)) return cause;
  const { code, kind, message, remedy, details } = cause;
  const both = `${message}; this failed drill was not recorded (${notRecorded})`;
  return new LifeboatError({ code, kind, message: both, remedy, details, cause });
}

/** Whoever asked for the copy hears where it is also when it did not come up. */
function withKept(cause: unknown, left: Kept): unknown {
  const { kept, serverLog } = left;
  if (kept === null) return cause;
  const log = serverLog === null ? "" : `, all that its server said is in ${serverLog}`;
  const where = `the copy is left in ${kept}${log}`;
  if (!(cause instanceof LifeboatError))
    return new Error(`${reasonOf(cause)}; ${where}`, { cause });
  const { code, kind, message, remedy, details } = cause;
  const both = { remedy: `${remedy}; ${where}`, details: { ...details, ...left } };
  return new LifeboatError({ code, kind, message, ...both, cause });
}

function drilled({ choice, recoveredTo }: DrillRun): DrilledDatabase {
  const { plan, folder } = choice;
  return { database: folder.database, backup: chosenBackup(plan).id, recoveredTo };
}

function failed(record: DrillRecord, cause: unknown): DrillRecord {
  const check = { name: "the copy was brought back", ok: false, message: reasonOf(cause) };
  return { ...record, ok: false, checks: [...record.checks, check] };
}
