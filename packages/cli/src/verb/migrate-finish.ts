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
    {
      flags: "--drop-loaded",
      help: "after a rollback: drop what was loaded into Postgres too, so that load can begin anew",
    },
  ],
  examples: [
    ["migrate finish", "where the product lives now, it stays"],
    ["migrate finish --drop-loaded", "after a rollback; leaves nothing on either side"],
    ["migrate finish --without-sqlite", "Postgres' schema went on, and SQLite can't follow"],
  ],
  async run({ options }, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { finishMigration } = await import("@lifeboat/migrate");
    const { recordMigration } = await import("../record-migration.ts");
    const withoutSqlite = options.withoutSqlite === true;
    const dropLoaded = options.dropLoaded === true;
    const report = await recordMigration<FinishReport>(
      session,
      "finish",
      ({ run, record }) =>
        finishMigration({ ...request, postgres, run, withoutSqlite, dropLoaded, onEnd: record }),
      ({ id, live, dropped }) => ({ id, live, details: { withoutSqlite, dropLoaded: dropped } }),
    );
    return {
      document: report,
      show: async () => (await import("../show/way-back.ts")).showFinish(report),
    };
  },
};
