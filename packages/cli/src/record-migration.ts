import { hostname, userInfo } from "node:os";
import {
  type EngineKind,
  LifeboatError,
  type MigrationRecord,
  migrationRecordId,
  type RecordedStep,
  reasonOf,
  type StepRunner,
} from "@lifeboat/core";
import type { Session } from "./session.ts";

/** What a record holds beside its steps. */
export interface Recorded {
  readonly id: string;
  /** The engine that the product lives in since; null where it was not moved. */
  readonly live: EngineKind | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What a verb that is recorded is given. */
export interface RecordedRun<Report> {
  /** Runs its steps, and notes how each went. */
  readonly run: StepRunner;
  readonly steps: readonly RecordedStep[];
  /**
   * Writes the record, once, before the verb takes away what tells another run that something is left to do. Else it
   * is written after the verb.
   */
  record(report: Report): Promise<void>;
}

/**
 * Runs a verb that moves the product and writes into the repository who ran it, when, each step, its result and its
 * seconds, also where it failed. What was refused before its first step leaves no record.
 * @throws LifeboatError `RECORD_NOT_WRITTEN` where the verb is done, or all but its last step, and the repository did not
 * take its record
 */
export async function recordMigration<Report>(
  session: Session,
  verb: string,
  work: (recorded: RecordedRun<Report>) => Promise<Report>,
  recordedOf: (report: Report) => Recorded,
): Promise<Report> {
  // Opened first: a repository that is gone must be known before anything moves.
  const repository = await session.openRepository("write");
  const run = { app: repository.app, verb, startedAt: new Date(), steps: [] as RecordedStep[] };
  let isRecorded = false;
  const record = async (report: Report) => {
    if (isRecorded) return;
    const recorded = recordedOf(report);
    try {
      await repository.writeMigrationRecord(recordOf(run, recorded));
    } catch (cause) {
      throw notWritten(verb, recorded, cause);
    }
    isRecorded = true;
  };
  let report: Report;
  try {
    report = await work({ run: noting(session.run, run.steps), steps: run.steps, record });
  } catch (cause) {
    if (run.steps.length > 0 && !isRecorded && !isNotWritten(cause))
      await repository.writeMigrationRecord(recordOf(run, null)).catch(() => {
        // The failure is the one to tell, whether or not it could be recorded.
      });
    throw cause;
  }
  await record(report);
  return report;
}

interface Run {
  readonly app: string;
  readonly verb: string;
  readonly startedAt: Date;
  readonly steps: readonly RecordedStep[];
}

/** @param recorded null for a run that failed */
function recordOf(
  { app, verb, startedAt, steps }: Run,
  recorded: Recorded | null,
): MigrationRecord {
  const finishedAt = new Date();
  return {
    ok: recorded !== null,
    id: migrationRecordId(startedAt, verb),
    app,
    migration: recorded?.id ?? null,
    verb,
    user: userInfo().username,
    host: hostname(),
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000,
    live: recorded?.live ?? null,
    steps,
    details: recorded?.details ?? {},
  };
}

/** A runner that notes how each step went. */
function noting(run: StepRunner, steps: RecordedStep[]): StepRunner {
  return (all) =>
    run(
      all.map((step) => ({
        ...step,
        run: async (report) => {
          const started = performance.now();
          const note = (message: string) => {
            const seconds = (performance.now() - started) / 1000;
            steps.push({ title: step.title, ok: message === "", message, seconds });
          };
          try {
            await step.run(report);
          } catch (cause) {
            note(reasonOf(cause) || "failed");
            throw cause;
          }
          note("");
        },
      })),
    );
}

const NOT_WRITTEN = "RECORD_NOT_WRITTEN";

function notWritten(verb: string, { live }: Recorded, cause: unknown): LifeboatError {
  const until = live === null ? "" : "; until then name the engine by --engine";
  return new LifeboatError({
    code: NOT_WRITTEN,
    message: `migrate ${verb} is done, but the repository did not take its record: ${reasonOf(cause)}`,
    remedy: `run migrate ${verb} again when the repository can be reached: it ends what is left and writes the record${until}`,
    cause,
  });
}

function isNotWritten(cause: unknown): boolean {
  return cause instanceof LifeboatError && cause.code === NOT_WRITTEN;
}
