import { migrationRequest } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migratePlanVerb: Verb = {
  name: "migrate plan",
  summary: "read every stored value of SQLite and say how it goes over to Postgres",
  options: [
    { flags: "--out <file>", help: "also write the plan as a file to review and commit" },
    {
      flags: "--emit <what>",
      help: "also write the Postgres schema as source",
      values: ["drizzle"],
      notBuilt: true,
    },
  ],
  examples: [["migrate plan --out plan.json", "exit status 1 while a finding has to be answered"]],
  async run({ options }, session) {
    const request = await migrationRequest(session);
    const { postgres } = await session.configuration();
    const { planMigration, unansweredErrors } = await import("@lifeboat/migrate");
    const target = postgres ? { postgres: { url: postgres.url } } : {};
    const plan = await planMigration({ ...request, ...target });
    if (typeof options.out === "string") {
      const { writePlan } = await import("../write-plan.ts");
      await writePlan(options.out, plan);
    }
    return {
      status: unansweredErrors(plan).length > 0 ? 1 : 0,
      document: plan,
      show: async () => (await import("../show/migration.ts")).showPlan(plan, session.commandLine),
    };
  },
};
