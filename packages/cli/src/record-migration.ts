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

/**
 * Runs a verb that moves the product and writes into the repository who ran it, when, each step, its result and its
 * seconds, also where it failed. What was refused before its first step leaves no record.
 * @throws LifeboatError `RECORD_NOT_WRITTEN` where the verb is done and the repository did not take its record
 */
export async function recordMigration<Report>(
  session: Session,
  verb: string,
  work: (run: StepRunner, steps: readonly RecordedStep[]) => Promise<Report>,
  recordedOf: (report: Report) => Recorded,
): Promise<Report> {
  // Opened first: a repository that is gone must be known before anything moves.
  const repository = await session.openRepository("write");
  const run = { app: repository.app, verb, startedAt: new Date(), steps: [] as RecordedStep[] };
  let report: Report;
  try {
    report = await work(noting(session.run, run.steps), run.steps);
  } catch (cause) {
    if (run.steps.length > 0)
      await repository.writeMigrationRecord(recordOf(run, null)).catch(() => {
        // The failure is the one to tell, whether or not it could be recorded.
      });
    throw cause;
  }
  const recorded = recordedOf(report);
  try {
    await repository.writeMigrationRecord(recordOf(run, recorded));
  } catch (cause) {
    throw notWritten(verb, recorded, cause);
  }
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

function notWritten(verb: string, { live }: Recorded, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "RECORD_NOT_WRITTEN",
    message: `migrate ${verb} is done, but the repository did not take its record: ${reasonOf(cause)}`,
    remedy:
      live === null
        ? "nothing depends on this record; see that the repository can be written before a cutover"
        : `run migrate ${verb} again when the repository can be reached: it changes nothing and writes the record; until then name the engine by --engine`,
    cause,
  });
}
