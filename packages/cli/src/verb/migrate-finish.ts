import type { FinishReport } from "@lifeboat/migrate";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateFinishVerb: Verb = {
  name: "migrate finish",
  summary: "end the migration and remove every trace of it; from then on there is no way back",
  options: [],
  examples: [["migrate finish", "where the product lives now, it stays"]],
  async run(_, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { finishMigration } = await import("@lifeboat/migrate");
    const { recordMigration } = await import("../record-migration.ts");
    const report = await recordMigration<FinishReport>(
      session,
      "finish",
      ({ run, record }) => finishMigration({ ...request, postgres, run, onEnd: record }),
      ({ id, live }) => ({ id, live, details: {} }),
    );
    return {
      document: report,
      show: async () => (await import("../show/way-back.ts")).showFinish(report),
    };
  },
};
