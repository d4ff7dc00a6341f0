import { CUTOVER_STEPS, type StepAbout } from "@lifeboat/migrate";
import type { Configuration } from "../configuration.ts";
import { duration, size } from "../show/units.ts";
import {
  type Block,
  code,
  command,
  heading,
  type Inline,
  list,
  notice,
  output,
  paragraph,
  say,
  table,
  words,
} from "./document.ts";
import { exitStatuses } from "./exit-statuses.ts";
import { expectedCutover, expectedRollback } from "./expected-move.ts";
import type { RunbookFacts } from "./facts.ts";
import {
  backupInWords,
  backupSeconds,
  drillInWords,
  lastBackup,
  lastCutover,
  lastDrill,
  measured,
  UNKNOWN,
} from "./measured.ts";
import { factsTable, howToType, preamble } from "./preamble.ts";
import { productSwitch } from "./product-switch.ts";
import type { Runbook } from "./runbook.ts";
import { withoutSecrets } from "./safe-url.ts";
import { stepHeading } from "./step-blocks.ts";

/** What a cutover moves, from where to where. */
export interface CutoverPlaces {
  readonly sqlite: { readonly name: string; readonly path: string };
  readonly postgres: NonNullable<Configuration["postgres"]>;
}

const WRITERS: Readonly<Record<StepAbout["phase"], string>> = {
  before: "write to SQLite as always",
  held: "wait",
  refused: "are refused by SQLite, with a clear error",
  after: "write to Postgres",
};

/** The runbook of a cutover, from the steps that `migrate cutover` runs. */
export function cutoverRunbook(facts: RunbookFacts, places: CutoverPlaces): Runbook {
  const { app, command: line } = facts;
  const steps = CUTOVER_STEPS.map((about) => ({ about, ...measuredStep(facts, about) }));
  const blocks: Block[] = [
    ...preamble(facts),
    heading("Purpose"),
    paragraph(
      say`Move ${app} from SQLite to Postgres while it runs. Its writers wait for milliseconds, are refused until both sides are compared and the product is switched, and no acknowledged write is lost. Until the switch begins the way back is automatic; after it ${code("migrate rollback")} goes back without a loss.`,
    ),
    installation(facts, places),
    ...preconditions(facts),
    ...howToType(facts),
    heading("Who decides"),
    list([
      words(
        "To begin, to pass a gate by `--skip`, and to go on after the abort point: the product's owner.",
      ),
      words("To stop before the abort point: whoever types, at any time, without asking."),
      words(
        "To roll back afterwards: the product's owner; to finish, which ends the way back: the product's owner, days later.",
      ),
    ]),
    heading("Do"),
    heading("1. Move", 3),
    command(`${line} migrate cutover`),
    paragraph(
      words(
        "It shows each step below as it goes, and at the end each gate, how long writers waited (`holdSeconds`) and how long they were refused (`switchSeconds`):",
      ),
    ),
    output(expectedCutover(facts, line)),
    heading("2. See that it moved", 3),
    command(`${line} migrate status`),
    paragraph(words("It says `cut-over`.")),
    command(`${line} status`),
    paragraph(
      words(
        "It says that the app is live on postgres. Backups, drills and restores concern Postgres from now on, by the same commands.",
      ),
    ),
    heading("3. Keep the way back short", 3),
    command(`${line} migrate sync`),
    paragraph(
      words(
        "It brings what the product writes to Postgres back to the SQLite file, until stopped; a `watch` of Postgres does it by itself. Changes are kept whether or not it runs; with it a rollback is a matter of milliseconds.",
      ),
    ),
    heading("The steps of the cutover"),
    ...steps.flatMap(stepOf),
    heading("The abort point"),
    paragraph(abortPoint()),
    ...wayBack(facts),
    ...exitStatuses(),
    paragraph(
      words(
        "A command that was killed, or a machine that went down in the middle: run the same command again. It ends what was begun, or takes it back. Until the step `switch` SQLite takes the product's writes again by itself once `migrate.budget` is over; from that step on it refuses them until the command was run again.",
      ),
    ),
  ];
  return {
    document: { title: `Cutover of ${app} from SQLite to Postgres`, blocks },
    steps: steps.map(({ about, seconds }) => ({ ...about, seconds: seconds ?? null })),
  };
}

const UNKNOWN_ROLE = words(
  "not known (`migrate.appRole` is not set): see for yourselves that it may use the tables, which belong to the role that loaded them",
);

function installation(facts: RunbookFacts, { sqlite, postgres }: CutoverPlaces): Block {
  const { schema = "public", appRole, ...migrate } = facts.configuration?.migrate ?? {};
  const bytes = facts.fileBytes.get(sqlite.path);
  const { budget, hook } = productSwitch(migrate);
  const cutover = lastCutover(facts);
  return factsTable([
    ["app", [code(facts.app)]],
    ["from", [code(sqlite.path), bytes === undefined ? " (not there now)" : ` (${size(bytes)})`]],
    ["to", [code(withoutSecrets(postgres.url)), ", schema ", code(schema)]],
    ["the product's own role there", appRole === undefined ? UNKNOWN_ROLE : [code(appRole)]],
    ["last load", [loadInWords(facts)]],
    ["the product's own switch", hook],
    ["writes may be refused for at most", [budget]],
    ["repository", [code(facts.repository)]],
    ["newest backup of SQLite", [backupInWords(lastBackup(facts, "sqlite"))]],
    ["newest backup of Postgres", [backupInWords(lastBackup(facts, "postgres"))]],
    ["last drill of SQLite that passed", [drillInWords(lastDrill(facts, "sqlite"))]],
    ["last drill of Postgres that passed", [drillInWords(lastDrill(facts, "postgres"))]],
    ["writers waited (holdSeconds)", [detail(cutover?.details.holdSeconds)]],
    ["writes were refused (switchSeconds)", [detail(cutover?.details.switchSeconds)]],
    ["the whole cutover", [measured(cutover?.seconds, `record ${cutover?.id}`)]],
  ]);
}

function loadInWords({ migrations }: RunbookFacts): string {
  const load = migrations.findLast(({ verb, ok }) => verb === "load" && ok);
  if (!load) return "none yet";
  const { rows } = load.details;
  return `${load.id}: ${typeof rows === "number" ? rows : "?"} rows, took ${duration(load.seconds)}`;
}

function detail(value: unknown): string {
  return typeof value === "number" ? duration(value) : UNKNOWN;
}

function preconditions({ command: line }: RunbookFacts): Block[] {
  const rows: readonly (readonly [string, readonly Inline[]])[] = [
    ["doctor", words("exit status 0: role, settings and archive of the new home are right")],
    [
      "watch --engine postgres",
      words(
        "runs as a service on the server's host, beside `watch --engine sqlite` as another: WAL is archived before the product needs it, and after the move it keeps the way back short",
      ),
    ],
    ["migrate plan", words("exit status 0: no unanswered error; every warning was read")],
    [
      "migrate cutover --rehearse",
      words(
        "the whole of it on copies, under the product's traffic; its times are what to expect here",
      ),
    ],
    ["migrate load", words("done, days before if you like")],
    ["migrate sync", words("runs, or `migrate sync --until caught-up` ended with exit status 0")],
    ["migrate verify", words("exit status 0, just before: every value equal on both sides")],
    ["drill", words("exit status 0, of SQLite and of Postgres (`--engine`)")],
    ["status --check", words("exit status 0: nothing wants attention")],
  ];
  return [
    heading("Before you begin"),
    paragraph(words("In this order; the cutover itself looks again at what it can (its gates).")),
    table(
      ["type", "it must say"],
      rows.map(([verb, wanted]) => [[code(`${line} ${verb}`)], wanted]),
    ),
    list([
      words("A quiet hour, the people who decide within call, and this page printed."),
      words(
        "No change of the product's schema from the load until the cutover: it would stop with a finding.",
      ),
      words(
        "Triggers that Postgres shall have are made after the switch, or disabled until it enables them: before it they would do once more what SQLite's have done.",
      ),
    ]),
  ];
}

interface MeasuredStep {
  readonly about: StepAbout;
  readonly seconds: number | undefined;
  readonly took: string;
}

/** By the last cutover or rehearsal; of a backup by the last one of that engine, where neither was yet. */
function measuredStep(
  facts: RunbookFacts,
  { id, title }: StepAbout,
): Pick<MeasuredStep, "seconds" | "took"> {
  const record = lastCutover(facts);
  const step = record?.steps.find((one) => one.title === title && one.ok);
  if (step) return { seconds: step.seconds, took: measured(step.seconds, `record ${record?.id}`) };
  const engine = id === "backup-sqlite" ? "sqlite" : id === "backup-postgres" ? "postgres" : null;
  const backup = engine && lastBackup(facts, engine);
  const seconds = backup ? backupSeconds(backup) : undefined;
  return { seconds, took: measured(seconds, `backup ${backup ? backup.id : ""}`) };
}

function stepOf({ about, took }: MeasuredStep, at: number): Block[] {
  return [
    ...(about.id === "switch" ? [notice(["The abort point. ", ...abortPoint()])] : []),
    stepHeading(about, at + 1),
    paragraph(words(about.purpose)),
    list([
      ["The product's writers ", WRITERS[about.phase], "."],
      ["Expected: ", ...words(about.expected)],
      ["If it fails: ", ...words(about.onFailure)],
      ["Took: ", took],
    ]),
  ];
}

function abortPoint(): readonly Inline[] {
  return words(
    "Before the step `switch` begins, Ctrl-C or any failure lifts the refusals, takes the journal back to `loaded` and leaves the product on SQLite with nothing lost. From `switch` on the product may be in Postgres: then the way back is a rollback.",
  );
}

function wayBack(facts: RunbookFacts): Block[] {
  const { command: line } = facts;
  const rollback = facts.migrations.findLast(({ verb, ok }) => verb === "rollback" && ok);
  return [
    heading("The way back"),
    paragraph(
      words(
        "Minutes or days after the switch, as long as nobody has finished the migration: one command brings what was written to Postgres since to the SQLite file, and the product with it. Nothing is lost.",
      ),
    ),
    command(`${line} migrate rollback`),
    output(expectedRollback(facts, line)),
    list([
      say`Last measured: ${measured(rollback?.seconds, `record ${rollback?.id}`)}.`,
      words(
        "Switch the product back to SQLite as soon as it says so, where the product's own switch does not do that.",
      ),
      words(
        "If it fails before SQLite takes writes, Postgres takes them again, and the product stays there.",
      ),
      say`Whether it is whole, ${code(`${line} migrate verify`)} says at any time: every value of both sides but for what a sync still brings, and what would end it.`,
      words(
        "A table or column that comes to Postgres ends it, since SQLite has no place for that: take it back first, or wait with such changes until the migration is finished.",
      ),
      say`Where Postgres was restored to an earlier instant meanwhile, or the SQLite file was, a rollback is refused: ${code(`${line} migrate sync --anew`)} first writes SQLite anew from Postgres as it is then.`,
    ]),
    heading("The end of the way back"),
    paragraph(
      say`When nobody wants to go back any more, ${code(`${line} migrate finish`)} takes away all that Lifeboat made on both sides. After it there is no rollback, only a new migration. Where SQLite can't follow any more, ${code("--without-sqlite")} leaves its file as it is; after a rollback ${code("--drop-loaded")} drops what was loaded into Postgres too, so that the product can be loaded anew. Do not type it on the day of the cutover.`,
    ),
  ];
}
