import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateVerifyVerb: Verb = {
  name: "migrate verify",
  summary:
    "compare SQLite and Postgres row by row, before the cutover and after, and name the keys that differ",
  options: [],
  examples: [["migrate verify", "as often as you like; exit status 1 when the sides differ"]],
  async run(_, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { verifyMigration } = await import("@lifeboat/migrate");
    const report = await verifyMigration({ ...request, postgres });
    return {
      status: report.ok ? 0 : 1,
      document: report,
      show: async () => (await import("../show/migration.ts")).showComparison(report),
    };
  },
};
