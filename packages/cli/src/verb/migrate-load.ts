import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateLoadVerb: Verb = {
  name: "migrate load",
  summary: "copy a quiet SQLite database into an empty Postgres schema, and compare both",
  options: [],
  examples: [["migrate load", "while nothing writes to SQLite; one transaction, all or nothing"]],
  async run(_, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { loadMigration } = await import("@lifeboat/migrate");
    const report = await loadMigration({ ...request, postgres });
    return {
      document: report,
      show: async () =>
        (await import("../show/migration.ts")).showLoad(report, session.commandLine),
    };
  },
};
