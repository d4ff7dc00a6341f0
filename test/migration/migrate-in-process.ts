import { writeFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { LifeboatError, type StepRunner } from "@lifeboat/core";
import {
  abortMigration,
  cutoverMigration,
  finishMigration,
  followReverse,
  loadMigration,
  migrationStatus,
  rollbackMigration,
  syncMigration,
  verifyMigration,
} from "@lifeboat/migrate";

/**
 * One verb of a migration in a process of its own, so that it can be killed: `migrate-in-process.ts VERB --database PATH --side FILE`,
 * the target's URL in the environment. Tells how many steps there are, each as it begins, its notes, and how it ended. The product's
 * switches write into FILE where it belongs.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    database: { type: "string", default: "" },
    side: { type: "string", default: "" },
    until: { type: "string" },
    /** Seconds within which a switch must be done. */
    budget: { type: "string", default: "60" },
    /** The step at whose beginning it waits to be killed. */
    "stop-at": { type: "string" },
    "drop-loaded": { type: "boolean", default: false },
    /** The switch to Postgres fails when the product is there for a moment. */
    "failing-switch": { type: "boolean", default: false },
  },
});
const say = (word: string, rest: string | number) => writeSync(1, `${word} ${rest}\n`);
const stopping = new AbortController();
process.on("SIGTERM", () => stopping.abort());

const run: StepRunner = async (steps) => {
  say("steps", steps.length);
  for (const step of steps) {
    say("step", step.title);
    if (step.title === values["stop-at"]) await sleep(2 ** 31 - 1);
    await step.run(({ note }) => {
      if (note !== undefined) say("note", note);
    });
  }
};
const request = {
  sqlite: { path: values.database },
  postgres: { url: process.env.LIFEBOAT_TEST_URL ?? "" },
  signal: stopping.signal,
  run,
};
const budgetSeconds = Number(values.budget);
const until = values.until === "caught-up" ? ({ until: "caught-up" } as const) : {};
const toPostgres = async () => {
  writeFileSync(values.side, "postgres");
  if (!values["failing-switch"]) return;
  await sleep(200);
  throw new Error("half of the workers did not answer");
};
const switchTo = (side: string) => async () => writeFileSync(values.side, side);

const verbs: Record<string, () => Promise<unknown>> = {
  load: () => loadMigration({ ...request, live: true }),
  // Rows in flight are brought by nobody here for most of the time.
  verify: () => verifyMigration({ ...request, patience: { total: 2_000, idle: 200 } }),
  cutover: () => cutoverMigration({ ...request, budgetSeconds, onCutover: toPostgres }),
  rollback: () => rollbackMigration({ ...request, budgetSeconds, onRollback: switchTo("sqlite") }),
  finish: () => finishMigration(request),
  abort: () => abortMigration({ ...request, dropLoaded: values["drop-loaded"] }),
  async sync() {
    const { phase } = await migrationStatus(request);
    return phase === "cut-over"
      ? followReverse({ ...request, ...until })
      : syncMigration({ ...request, ...until });
  },
};

try {
  const report = await verbs[positionals[0] ?? ""]?.();
  const { ok, findings } = report as { ok?: boolean; findings: readonly unknown[] };
  if (ok === false) say("failed", `DIFFERS ${JSON.stringify(findings)}`);
  else say("done", "");
} catch (cause) {
  if (!(cause instanceof LifeboatError)) throw cause;
  say("failed", `${cause.code} ${cause.message}`);
}
