import type { Verb } from "../verb.ts";

export const listVerb: Verb = {
  name: "list",
  summary: "list the backups, and the spans in which every instant can be restored",
  onlyAsks: true,
  options: [],
  examples: [
    ["list", "what the configuration's repository holds"],
    ["list --repository /var/backups/lifeboat --app documint --json", "without a configuration"],
  ],
  async run(_, session) {
    const repository = await session.openRepository("read");
    const { list } = await import("../operations.ts");
    const { engine } = session.global;
    const engines = await session.engines();
    const report = await list({ repository, engines, engine, live: await session.live() });
    return {
      document: report,
      show: async () => (await import("../show/list.ts")).showList(report, session.commandLine),
    };
  },
};
