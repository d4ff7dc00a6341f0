import { migrationRequest } from "../migration-request.ts";
import type { Verb } from "../verb.ts";

export const migratePlanVerb: Verb = {
  name: "migrate plan",
  summary: "read every stored value of SQLite and say how it goes over to Postgres",
  options: [
    {
      flags: "--out <file>",
      help: "also write the plan, or with --emit the source, as a file to review and commit",
    },
    {
      flags: "--emit <what>",
      help: "write the Postgres schema as source, in place of the plan",
      values: ["drizzle"],
    },
  ],
  examples: [
    ["migrate plan --out plan.json", "exit status 1 while a finding has to be answered"],
    ["migrate plan --emit drizzle --out schema.ts", "the same tables for drizzle-orm/pg-core"],
  ],
  async run({ options }, session) {
    const request = await migrationRequest(session);
    const { postgres } = await session.configuration();
    const { drizzleSource, planMigration, sealPlan, unansweredErrors } = await import(
      "@lifeboat/migrate"
    );
    const target = postgres ? { postgres: { url: postgres.url } } : {};
    const plan = sealPlan(await planMigration({ ...request, ...target }), request.choices ?? {});
    const drizzle = options.emit === "drizzle" ? drizzleSource(plan) : null;
    if (typeof options.out === "string") {
      const [{ writeDocument }, { drizzleDocument, planDocument }] = await Promise.all([
        import("../write-document.ts"),
        import("../plan-document.ts"),
      ]);
      const document = drizzle === null ? planDocument(plan) : drizzleDocument(drizzle);
      await writeDocument(options.out, document);
    }
    return {
      status: unansweredErrors(plan).length > 0 ? 1 : 0,
      document: drizzle === null ? plan : { ...plan, drizzle },
      show: async () => {
        // Alone on standard output, the source can be sent into a file; its header tells of open errors.
        if (drizzle !== null && options.out === undefined) return drizzle;
        return (await import("../show/plan.ts")).showPlan(plan, session.commandLine);
      },
    };
  },
};
