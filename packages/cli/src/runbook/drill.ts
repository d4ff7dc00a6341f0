import { type DrillRecord, drillSteps } from "@lifeboat/core";
import { showDrill } from "../show/drill.ts";
import { duration, size } from "../show/units.ts";
import {
  type Block,
  code,
  command,
  heading,
  list,
  output,
  paragraph,
  say,
  table,
  words,
} from "./document.ts";
import { exitStatuses } from "./exit-statuses.ts";
import type { RunbookFacts } from "./facts.ts";
import {
  backupInWords,
  drillInWords,
  lastBackup,
  lastDrill,
  measured,
  recoveryInWords,
} from "./measured.ts";
import { factsTable, howToType, preamble } from "./preamble.ts";
import type { Runbook } from "./runbook.ts";
import { stepBlocks } from "./step-blocks.ts";

/** So many tell whether recoveries grow longer. */
const SHOWN_DRILLS = 5;

/** The runbook of a drill: how a restore is proved, by whom, and what its answer means. */
export function drillRunbook(facts: RunbookFacts, checks: readonly string[]): Runbook {
  const { app, engine, command: line } = facts;
  const drill = lastDrill(facts, engine);
  const steps = stepsFor(facts).map((about) => {
    const seconds = drill && secondsOf(drill, about.id);
    return { about, seconds, took: measured(seconds, `drill ${drill?.id}`) };
  });
  const blocks: Block[] = [
    ...preamble(facts),
    heading("Purpose"),
    paragraph(
      say`Prove that ${app} can be brought back, and measure how long that takes: the newest backup is restored into a scratch folder, brought to life, and asked. The live database is not touched, and no product needs to stop.`,
    ),
    factsTable([
      ["app", [code(app)]],
      ["engine", [engine]],
      ["repository", [code(facts.repository)]],
      ["newest backup", [backupInWords(lastBackup(facts, engine))]],
      ["last drill that passed", [drillInWords(drill)]],
      ["expected duration", [drill ? duration(drill.seconds.total) : recoveryInWords(undefined)]],
      [
        "checks of the product",
        checks.length === 0 ? ["none configured: add some, drill.checks"] : [checks.join("; ")],
      ],
    ]),
    heading("Before you begin"),
    list([
      say`The scratch folder lies below the machine's temporary one (${code("TMPDIR")}): it needs room for the whole database${lastBackup(facts, engine) ? ` (${size(lastBackup(facts, engine)?.sourceBytes ?? 0)} by the newest backup)` : ""}.`,
      ...(engine === "postgres"
        ? [
            words(
              "The server's programs, of the server's own major version, must be on this machine.",
            ),
          ]
        : []),
      words(
        "Any machine that can read the repository will do; one that is not the database's own proves more.",
      ),
    ]),
    ...howToType(facts),
    heading("Who decides"),
    paragraph(
      words(
        "Nobody needs to: it only reads. Do it on schedule, and after each change of the schema, the server or the repository.",
      ),
    ),
    heading("Do"),
    heading("1. Drill", 3),
    command(`${line} drill --engine ${engine}`),
    paragraph(
      words(
        drill ? "It prints, as the last one that passed did:" : "It prints, with its own times:",
      ),
    ),
    output(shapeOf(drill, facts)),
    paragraph(
      words(
        "Exit status 0 means passed, 1 that a check answered `FAILED` or the copy did not come up. An instant instead of the newest state: add `--at INSTANT`. To look at the copy yourself: add `--keep`, and remove it afterwards.",
      ),
    ),
    heading("2. See that it is recorded", 3),
    command(`${line} status`),
    paragraph(words("It says under `last drill`: passed, and how long the recovery took.")),
    heading("The abort point"),
    paragraph(
      words(
        "Anywhere: Ctrl-C stops it and removes the copy. A drill that is stopped is not recorded.",
      ),
    ),
    heading("The way back"),
    paragraph(words("There is nothing to take back: nothing but the record of the drill is left.")),
    ...exitStatuses(),
    paragraph(
      words(
        "A drill that failed is a finding about the backups, not about the drill: until it is mended, count on the last one that passed, and take a full backup (`backup`). `verify` names damaged objects.",
      ),
    ),
    heading("What drill does"),
    ...stepBlocks(steps),
    ...measuredDrills(facts),
  ];
  return {
    document: { title: `Drill ${app} (${engine === "sqlite" ? "SQLite" : "Postgres"})`, blocks },
    steps: steps.map(({ about, seconds }) => ({ ...about, seconds: seconds ?? null })),
  };
}

/** What a drill reports beside its record, where nothing is out of the ordinary. */
const NO_MORE = { kept: null, serverLog: null, notRecorded: null, findings: [] };

/** As `drill` prints it, with no figure that was not measured. */
function shapeOf(record: DrillRecord | undefined, { app, engine }: RunbookFacts): string {
  if (record) return showDrill({ ...record, ...NO_MORE });
  const nothing = { fetch: 0, restore: 0, replay: 0, checks: 0, total: 0 };
  const checks = [{ name: "NAME OF A CHECK", ok: true, message: "ok" }];
  const names = { id: "ID", backup: "BACKUP", recoveredTo: "INSTANT", database: app };
  const times = { startedAt: "", finishedAt: "", seconds: nothing };
  const shape = showDrill({
    ok: true,
    app,
    engine,
    ...names,
    ...times,
    checks,
    ...NO_MORE,
  });
  return shape.replaceAll(duration(0), "…");
}

function stepsFor({ newest, app }: RunbookFacts) {
  const databases = newest.length > 0 ? newest.map(({ database }) => database) : [app];
  return databases.flatMap((database) => drillSteps(database));
}

function secondsOf({ seconds }: DrillRecord, id: string): number {
  if (id === "restore") return seconds.fetch + seconds.restore;
  return id === "revive" ? seconds.replay : seconds.checks;
}

function measuredDrills({ drills, engine }: RunbookFacts): Block[] {
  const shown = drills.filter((drill) => drill.engine === engine).slice(-SHOWN_DRILLS);
  if (shown.length === 0) return [];
  return [
    heading("Drills so far"),
    table(
      ["drill", "result", "fetch", "restore", "replay", "checks", "whole"],
      shown.map(({ id, ok, seconds }) => [
        [code(id)],
        [ok ? "passed" : "FAILED"],
        ...(["fetch", "restore", "replay", "checks", "total"] as const).map((part) => [
          duration(seconds[part]),
        ]),
      ]),
    ),
  ];
}
