import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateStatusVerb: Verb = {
  name: "migrate status",
  summary: "show where the migration stands, what waits, and what comes next",
  onlyAsks: true,
  options: [],
  examples: [["migrate status", "changes nothing on either side"]],
  async run(_, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { migrationStatus } = await import("@lifeboat/migrate");
    const report = await migrationStatus({ ...request, postgres });
    return {
      document: report,
      show: async () =>
        (await import("../show/cutover.ts")).showMigrationStatus(report, session.commandLine),
    };
  },
};
