import { giveWay } from "../give-way.ts";
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
    {
      flags: "--skip-compare",
      help: "commit without comparing both sides first; migrate verify compares them later, and a cutover waits for that",
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
    const compare = options.skipCompare !== true;
    giveWay();
    const { recordMigration } = await import("../record-migration.ts");
    const report = await recordMigration(
      session,
      "load",
      (run) => loadMigration({ ...request, postgres, live, compare, run }),
      ({ id, rows, bytes }) => ({ id, live: null, details: { isLive: live, rows, bytes } }),
    );
    return {
      document: report,
      show: async () =>
        (await import("../show/migration.ts")).showLoad(report, session.commandLine, live),
    };
  },
};
