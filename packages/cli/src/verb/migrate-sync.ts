import { migrationRequest, migrationTarget } from "../migration-request.ts";
import { inOneLine } from "../printable.ts";
import type { Verb } from "../verb.ts";

export const migrateSyncVerb: Verb = {
  name: "migrate sync",
  summary:
    "follow SQLite's writes in Postgres until stopped; after the cutover, Postgres' in SQLite",
  options: [
    {
      flags: "--until <state>",
      help: "caught-up: end as soon as few changes wait",
      values: ["caught-up"],
    },
    {
      flags: "--anew",
      help: "after the cutover: begin by writing SQLite's tables anew from Postgres, where one of the two was restored to an earlier state",
    },
  ],
  examples: [
    ["migrate sync --until caught-up", "then verify, or cut over"],
    [
      "migrate sync",
      "for as long as it takes; it stands by while a cutover or a rollback takes over, and ends once that is done",
    ],
  ],
  async run({ options }, session) {
    const postgres = await migrationTarget(session);
    const migration = await migrationRequest(session);
    const { followReverse, migrationStatus, syncMigration } = await import("@lifeboat/migrate");
    const request = {
      ...migration,
      postgres,
      // Said under --quiet too: it is no progress, and under a service manager all that anybody reads.
      log: (line: string) => void process.stderr.write(`${inOneLine(line)}\n`),
      ...(options.until === undefined ? {} : { until: "caught-up" as const }),
    };
    const anew = options.anew === true;
    const isReverse = anew || (await migrationStatus(request)).phase === "cut-over";
    const report = isReverse
      ? await followReverse({ ...request, anew })
      : await syncMigration(request);
    return {
      document: report,
      show: async () => (await import("../show/cutover.ts")).showSync(report),
    };
  },
};
