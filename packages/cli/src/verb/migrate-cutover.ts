import type { CutoverReport, GateName } from "@lifeboat/migrate";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Rehearsal } from "../rehearse/rehearse-cutover.ts";
import type { Session } from "../session.ts";
import { usage } from "../usage.ts";
import type { Outcome, Verb } from "../verb.ts";

/** As migrate names them; written here too, since the help must not load it. */
const GATES = ["lag", "verified", "archive", "drill", "disk", "rights", "backup"];

function parseGate(text: string): string {
  if (GATES.includes(text)) return text;
  throw usage(`--skip: "${text}" is no gate`, `the gates are ${GATES.join(", ")}`);
}

export const migrateCutoverVerb: Verb = {
  name: "migrate cutover",
  summary: "move the product to Postgres: backups, gates, a freeze of milliseconds, its own switch",
  options: [
    {
      flags: "--skip <gate>",
      help: `pass a gate that is not met: ${GATES.join(", ")}`,
      parse: parseGate,
      repeatable: true,
    },
    { flags: "--rehearse", help: "run it all on copies and say how long it takes" },
  ],
  examples: [
    ["migrate cutover", "see `runbook cutover` first"],
    ["migrate cutover --skip drill", "whoever decides may pass a gate"],
  ],
  async run({ options }, session) {
    const skip = (options.skip ?? []) as readonly GateName[];
    if (options.rehearse === true) return rehearsed(session, skip);
    const postgres = await migrationTarget(session);
    const migration = await migrationRequest(session);
    const { app, migrate } = await session.configuration();
    const { cutoverMigration } = await import("@lifeboat/migrate");
    const { recordMigration } = await import("../record-migration.ts");
    const { backupOf, cutoverGates } = await import("../cutover-gates.ts");
    const { onCutover, budgetSeconds } = migrate;
    const { runSwitch } = await import("../switch-hook.ts");
    const report = await recordMigration<CutoverReport>(
      session,
      "cutover",
      ({ run }) =>
        cutoverMigration({
          ...migration,
          postgres,
          run,
          skip,
          gates: cutoverGates(session),
          backup: backupOf(session),
          ...(budgetSeconds === undefined ? {} : { budgetSeconds }),
          ...(onCutover === undefined
            ? {}
            : { onCutover: (signal) => runSwitch(onCutover, { app, engine: "postgres" }, signal) }),
        }),
      ({ id, rows, gates, backups, holdSeconds, movedAt, switchSeconds }) => ({
        id,
        live: "postgres",
        details: { rows, gates, backups, holdSeconds, movedAt, switchSeconds },
      }),
    );
    return {
      document: report,
      show: async () =>
        (await import("../show/cutover.ts")).showCutover(report, session.commandLine),
    };
  },
};

async function rehearsed(session: Session, skip: readonly GateName[]): Promise<Outcome> {
  // What the configuration lacks is said before the repository is opened for the record.
  await migrationTarget(session);
  await migrationRequest(session);
  const { rehearseCutover } = await import("../rehearse/rehearse-cutover.ts");
  const { recordMigration } = await import("../record-migration.ts");
  const report = await recordMigration<Rehearsal>(
    session,
    "rehearse",
    ({ run, steps }) => rehearseCutover(session, { run, steps, skip }),
    ({ id, holdSeconds, switchSeconds, rollback, commits }) => ({
      id,
      live: null,
      details: { holdSeconds, switchSeconds, rollback, commits },
    }),
  );
  return {
    document: report,
    show: async () =>
      (await import("../show/cutover.ts")).showRehearsal(report, session.commandLine),
  };
}
