import type { RollbackReport } from "@lifeboat/migrate";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateRollbackVerb: Verb = {
  name: "migrate rollback",
  summary:
    "take the product back to SQLite, with all that was written to Postgres since the cutover",
  options: [],
  examples: [["migrate rollback", "minutes or days after the cutover; writers wait milliseconds"]],
  async run(_, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { rollbackMigration } = await import("@lifeboat/migrate");
    const { app, migrate } = await session.configuration();
    const { onRollback, budgetSeconds } = migrate;
    const { recordMigration } = await import("../record-migration.ts");
    const { runSwitch } = await import("../switch-hook.ts");
    const report = await recordMigration<RollbackReport>(
      session,
      "rollback",
      ({ run }) =>
        rollbackMigration({
          ...request,
          postgres,
          run,
          ...(budgetSeconds === undefined ? {} : { budgetSeconds }),
          ...(onRollback === undefined
            ? {}
            : { onRollback: (signal) => runSwitch(onRollback, { app, engine: "sqlite" }, signal) }),
        }),
      ({ id, rows, holdSeconds, movedAt, switchSeconds }) => ({
        id,
        live: "sqlite",
        details: { rows, holdSeconds, movedAt, switchSeconds },
      }),
    );
    return {
      document: report,
      show: async () =>
        (await import("../show/way-back.ts")).showRollback(report, session.commandLine),
    };
  },
};
