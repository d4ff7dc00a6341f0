import { drillChecks } from "../drill-checks.ts";
import { AT_OPTION, DATABASE_OPTION, targetOf } from "../target.ts";
import type { Verb } from "../verb.ts";

export const drillVerb: Verb = {
  name: "drill",
  summary: "restore into a scratch place, bring it to life, check it, and record how long it took",
  options: [
    AT_OPTION,
    DATABASE_OPTION,
    { flags: "--keep", help: "leave the restored copy and say where" },
  ],
  examples: [
    ["drill", "the latest state"],
    ["drill --at 2026-11-22T10:00:00Z --keep", "an instant, and keep the copy to look at"],
  ],
  async run({ options }, session) {
    const checks = await drillChecks(session);
    const repository = await session.openRepository("read");
    const { drill } = await import("../operations.ts");
    const report = await drill({
      repository,
      engines: await session.engines(),
      engine: session.global.engine,
      live: await session.live(),
      database: options.database as string | undefined,
      target: targetOf(options),
      checks,
      keep: options.keep === true,
      signal: session.signal,
      run: session.run,
    });
    return {
      status: report.ok ? 0 : 1,
      document: report,
      show: async () => (await import("../show/drill.ts")).showDrill(report),
    };
  },
};
