import type { Status } from "@lifeboat/core";
import type { Verb } from "../verb.ts";

/** Scripts read the same members whether or not a log is shipped; what is committed since the last backup is nowhere else. */
const NOTHING_SHIPPED: NonNullable<Status["archive"]> = {
  ok: false,
  lagSeconds: null,
  lagBytes: null,
  lastSegment: null,
  oldestUnarchived: null,
};

export const statusVerb: Verb = {
  name: "status",
  summary: "show the last backup and drill, how the log is shipped, and what wants attention",
  onlyAsks: true,
  options: [{ flags: "--check", help: "exit 1 when something wants attention" }],
  examples: [["status --check --quiet", "for a monitor"]],
  async run({ options }, session) {
    const repository = await session.openRepository("read").catch(async (thrown) => {
      const { withServerSide } = await import("../server-without-repository.ts");
      throw await withServerSide(session, thrown);
    });
    const { status } = await import("../operations.ts");
    const live = await session.live();
    const shown = session.isByRepository ? null : (await session.liveEngine()).kind;
    const { watchNotes } = await import("../watch-notes.ts");
    const engines = await session.engines();
    const { engine } = session.global;
    const notes = watchNotes();
    const found = await status({ repository, engines, engine, live: shown, notes });
    const { migrationAlerts } = await import("../migration-alerts.ts");
    const report = {
      ...found,
      live,
      alerts: [...found.alerts, ...(await migrationAlerts(session))],
    };
    return {
      status: options.check === true && report.alerts.length > 0 ? 1 : 0,
      document: { ...report, archive: report.archive ?? NOTHING_SHIPPED },
      show: async () => (await import("../show/status.ts")).showStatus(report, session.commandLine),
    };
  },
};
