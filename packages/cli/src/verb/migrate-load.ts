import type { LoadReport } from "@lifeboat/migrate";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateLoadVerb: Verb = {
  name: "migrate load",
  summary: "copy SQLite into an empty Postgres schema while the product writes, and compare both",
  options: [
    {
      flags: "--offline",
      help: "SQLite is quiet: it is only read, and can't be followed or cut over from then on",
    },
  ],
  examples: [
    ["migrate load", "SQLite logs its writes from here on; one transaction in Postgres"],
    ["migrate load --offline", "while nothing writes to SQLite, which stays as it is to the byte"],
  ],
  async run({ options }, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { loadMigration } = await import("@lifeboat/migrate");
    const live = options.offline !== true;
    const { recordMigration } = await import("../record-migration.ts");
    const report = await recordMigration<LoadReport>(
      session,
      "load",
      ({ run, record }) => loadMigration({ ...request, postgres, live, run, onEnd: record }),
      ({ id, rows, bytes }) => ({ id, live: null, details: { isLive: live, rows, bytes } }),
    );
    return {
      document: report,
      show: async () =>
        (await import("../show/migration.ts")).showLoad(report, session.commandLine, live),
    };
  },
};
