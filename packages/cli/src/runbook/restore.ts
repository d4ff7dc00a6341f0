import { type DescribedStep, type EngineKind, restoreSteps } from "@lifeboat/core";
import { showList } from "../show/list.ts";
import { size } from "../show/units.ts";
import { byHand } from "./by-hand.ts";
import {
  type Block,
  code,
  command,
  heading,
  type Inline,
  list,
  output,
  paragraph,
  say,
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
import { restorePostgresBlocks } from "./restore-postgres.ts";
import { restoreSqliteBlocks } from "./restore-sqlite.ts";
import type { Runbook } from "./runbook.ts";
import { stepBlocks } from "./step-blocks.ts";

const ENGINES: Readonly<Record<EngineKind, string>> = { sqlite: "SQLite", postgres: "Postgres" };
/** So many are read at a glance; `list` shows all. */
const SHOWN = 3;

/** The runbook of a restore: for whoever has only this on paper, at 3 a.m. */
export async function restoreRunbook(facts: RunbookFacts): Promise<Runbook> {
  const { app, engine } = facts;
  const drill = lastDrill(facts, engine);
  const steps = stepsFor(facts).map((about) => {
    const { fetch, restore, replay } = drill?.seconds ?? {};
    const seconds = about.id === "restore" ? sum(fetch, restore) : replay;
    return { about, seconds, took: measured(seconds, `drill ${drill?.id}`) };
  });
  const place =
    engine === "sqlite" ? restoreSqliteBlocks(facts) : await restorePostgresBlocks(facts);
  const blocks: Block[] = [
    ...preamble(facts),
    heading("Purpose"),
    paragraph(
      say`Bring ${app} back from its backups: to the newest state, or to an instant before a mistake. Nothing that stands is overwritten on the way.`,
    ),
    installation(facts),
    heading("Before you begin"),
    list([
      words(
        "Find out what happened, and the last instant (UTC) at which all was well. A lost disk wants the newest state; a mistake wants the instant before it.",
      ),
      words("What was written after that instant is not in the copy. Whoever decides must know."),
      say`The copy needs room: ${roomInWords(facts)}.`,
      ...(engine === "postgres"
        ? [
            words(
              "Work as root, or as the account that runs the server, on the server's own machine.",
            ),
          ]
        : [words("Work as root, or as the account that the product runs as, on its own machine.")]),
    ]),
    ...howToType(facts),
    heading("Who decides"),
    paragraph(
      words(
        "The product's owner, since everything after the chosen instant is given up. To restore aside and look, up to and including the check, needs nobody's leave.",
      ),
    ),
    heading("Do"),
    ...look(facts),
    ...place.forward,
    heading("The abort point"),
    paragraph(words(place.abort)),
    heading("The way back"),
    ...place.back,
    ...exitStatuses(),
    ...elsewhere(facts),
    heading("What restore does"),
    ...stepBlocks(steps),
    ...byHand(facts),
  ];
  return {
    document: { title: `Restore ${app} (${ENGINES[engine]})`, blocks },
    steps: steps.map(({ about, seconds }) => ({ ...about, seconds: seconds ?? null })),
  };
}

/** One round for each database; a Postgres copy is also replayed, as the commands here have it. */
function stepsFor({ engine, newest, app }: RunbookFacts): DescribedStep[] {
  const databases = newest.length > 0 ? newest.map(({ database }) => database) : [app];
  return databases.flatMap((database) =>
    restoreSteps(database).filter(({ id }) => id !== "replay" || engine === "postgres"),
  );
}

function sum(...parts: readonly (number | undefined)[]): number | undefined {
  return parts.reduce(
    (all, part) => (all === undefined || part === undefined ? undefined : all + part),
    0,
  );
}

function installation(facts: RunbookFacts): Block {
  const { engine, configuration, repository, live, newest } = facts;
  const databases = (engine === "sqlite" ? (configuration?.sqlite ?? []) : []).map(
    ({ name, path }): readonly [string, readonly Inline[]] => [`database ${name}`, [code(path)]],
  );
  return factsTable([
    ["app", [code(facts.app)]],
    [
      "engine of this runbook",
      [ENGINES[engine], live === null ? "" : `; live now: ${ENGINES[live]}`],
    ],
    ...databases,
    ["repository", [code(repository)]],
    ["newest backup", [backupInWords(lastBackup(facts, engine))]],
    ...(newest.length > 1
      ? [["databases", [newest.map(({ database }) => database).join(", ")]] as const]
      : []),
    ["last drill that passed", [drillInWords(lastDrill(facts, engine))]],
    ["expected duration", [recoveryInWords(lastDrill(facts, engine))]],
  ]);
}

function roomInWords({ newest }: RunbookFacts): string {
  if (newest.length === 0) return "unknown, since there is no backup yet";
  const bytes = newest.reduce((all, { sourceBytes, details }) => {
    const { pageSize, pageCount } = details as { pageSize?: unknown; pageCount?: unknown };
    // An incremental backup is smaller than what it restores.
    const whole =
      typeof pageSize === "number" && typeof pageCount === "number" ? pageSize * pageCount : 0;
    return all + Math.max(sourceBytes, whole);
  }, 0);
  return `${size(bytes)} by the newest backup, beside what is there`;
}

/** Which instants there are. */
function look(facts: RunbookFacts): Block[] {
  const { command: line, engine } = facts;
  const listing = facts.list;
  return [
    heading("1. See what can be restored", 3),
    command(`${line} list --engine ${engine}`),
    ...(listing === null
      ? []
      : [
          paragraph(words("It prints, as of the rendering of this page (the newest of each):")),
          output(
            showList(
              {
                ...listing,
                backups: listing.backups.filter((one) => one.engine === engine).slice(-SHOWN),
                windows: listing.windows.filter((one) => one.engine === engine).slice(-SHOWN),
              },
              line,
            ),
          ),
        ]),
    paragraph(
      words(
        "Every instant from `from` to `to` can be restored. Take the newest state, or choose an instant in one of these spans.",
      ),
    ),
  ];
}

function elsewhere(facts: RunbookFacts): Block[] {
  const { commandByRepository, configuration } = facts;
  if (configuration === null) return [];
  return [
    heading("On another machine"),
    paragraph(
      say`Neither the old machine nor a configuration is needed: with the repository mounted, type ${code(commandByRepository)} in place of ${code(facts.command)} in the commands ${code("list")} and ${code("restore")}, with the path at which it is mounted there.`,
    ),
  ];
}
