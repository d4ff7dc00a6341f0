import type { AbortReport } from "@lifeboat/migrate";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migrateAbortVerb: Verb = {
  name: "migrate abort",
  summary: "give the migration up before the cutover; SQLite's schema is then what it was",
  options: [
    {
      flags: "--drop-loaded",
      help: "drop what was loaded into Postgres too, so that load can begin anew",
    },
  ],
  examples: [["migrate abort --drop-loaded", "leaves nothing on either side"]],
  async run({ options }, session) {
    const postgres = await migrationTarget(session);
    const request = await migrationRequest(session);
    const { abortMigration } = await import("@lifeboat/migrate");
    const { recordMigration } = await import("../record-migration.ts");
    const dropLoaded = options.dropLoaded === true;
    const report = await recordMigration<AbortReport>(
      session,
      "abort",
      ({ run, record }) => abortMigration({ ...request, postgres, run, dropLoaded, onEnd: record }),
      ({ id }) => ({ id: id ?? "unknown", live: null, details: { dropLoaded } }),
    );
    return {
      document: report,
      show: async () => (await import("../show/cutover.ts")).showAbort(report),
    };
  },
};
