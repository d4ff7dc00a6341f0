import type { FinishReport } from "@lifeboat/migrate";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateFinishVerb: Verb = {
  name: "migrate finish",
  summary: "end the migration and remove every trace of it; from then on there is no way back",
  options: [
    {
      flags: "--without-sqlite",
      help: "give the way back up where SQLite can't follow any more, or is lost; its file is left as it is",
    },
  ],
  examples: [
    ["migrate finish", "where the product lives now, it stays"],
    ["migrate finish --without-sqlite", "Postgres' schema went on, and SQLite can't follow"],
  ],
  async run({ options }, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { finishMigration } = await import("@lifeboat/migrate");
    const { recordMigration } = await import("../record-migration.ts");
    const withoutSqlite = options.withoutSqlite === true;
    const report = await recordMigration<FinishReport>(
      session,
      "finish",
      ({ run, record }) =>
        finishMigration({ ...request, postgres, run, withoutSqlite, onEnd: record }),
      ({ id, live }) => ({ id, live, details: { withoutSqlite } }),
    );
    return {
      document: report,
      show: async () => (await import("../show/way-back.ts")).showFinish(report),
    };
  },
};
