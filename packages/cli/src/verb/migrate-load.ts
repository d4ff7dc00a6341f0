import type { LoadPace, LoadReport, ReviewedPlan } from "@lifeboat/migrate";
import { giveWay } from "../give-way.ts";
import { migrationRequest, migrationTarget } from "../migration-request.ts";
import { usage } from "../usage.ts";
import type { Verb } from "../verb.ts";

const PACES: readonly LoadPace[] = ["adaptive", "full"];

export const migrateLoadVerb: Verb = {
  name: "migrate load",
  summary: "copy SQLite into an empty Postgres schema while the product writes, and compare both",
  options: [
    {
      flags: "--offline",
      help: "SQLite is quiet: it is only read, and can't be followed or cut over from then on",
    },
    {
      flags: "--plan <file>",
      help: "load by this plan, as migrate plan --out wrote it and somebody reviewed it, without reading every value again",
    },
    {
      flags: "--pace <pace>",
      values: PACES,
      help: "adaptive (when left out): rests where the product would else lose more than a tenth of its writes; full: as fast as it can",
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
    const live = options.offline !== true;
    const plan = await planOf(options.plan, live);
    const pace = paceOf(options.pace, live);
    const { loadMigration } = await import("@lifeboat/migrate");
    const compare = options.skipCompare !== true;
    giveWay();
    const { recordMigration } = await import("../record-migration.ts");
    const report = await recordMigration<LoadReport>(
      session,
      "load",
      ({ run, record }) =>
        loadMigration({
          ...request,
          postgres,
          live,
          compare,
          run,
          onEnd: record,
          ...plan,
          ...pace,
        }),
      ({ id, rows, bytes }) => ({ id, live: null, details: { isLive: live, rows, bytes } }),
    );
    return {
      document: report,
      show: async () =>
        (await import("../show/migration.ts")).showLoad(report, session.commandLine, live),
    };
  },
};

function paceOf(pace: unknown, live: boolean): { pace?: LoadPace } {
  if (pace === undefined) return {};
  if (!live)
    throw usage(
      "--pace does not go with --offline, beside which nobody writes",
      "leave one of them out",
    );
  return { pace: pace as LoadPace };
}

async function planOf(file: unknown, live: boolean): Promise<{ plan?: ReviewedPlan }> {
  if (typeof file !== "string") return {};
  if (!live)
    throw usage(
      "--plan does not go with --offline, which loads what is there now and nothing else",
      "leave one of them out",
    );
  const { readPlanFile } = await import("../read-plan-file.ts");
  return { plan: await readPlanFile(file) };
}
