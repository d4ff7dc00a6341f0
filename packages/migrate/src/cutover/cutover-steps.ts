import type { DescribedStep } from "@lifeboat/core";

export type CutoverStepId =
  | "claim"
  | "gates"
  | "backup-sqlite"
  | "backup-postgres"
  | "come-close"
  | "freeze"
  | "prepare-target"
  | "verify-touched"
  | "switch"
  | "drop-capture"
  | "close";

/** A step of `cutover`, as its run names it and its runbook tells it. */
export interface StepAbout extends DescribedStep<CutoverStepId> {
  /**
   * What the product's writers see meanwhile: SQLite takes writes (`before`), makes them wait (`held`), refuses them
   * (`refused`), or the product is in Postgres (`after`).
   */
  readonly phase: "before" | "held" | "refused" | "after";
}

/** How any failure ends while SQLite takes writes. */
const STAYS =
  "The journal goes back to `loaded`; the product never left SQLite, and nothing is lost.";
/** How any failure ends between the freeze and the switch. */
const BACK =
  "The refusals are lifted, the journal goes back to `loaded`, and the product goes on in SQLite with nothing lost.";

/** What `cutover` does, in order. The run maps a function to each id; the runbook prints the rest. */
export const CUTOVER_STEPS: readonly StepAbout[] = [
  {
    id: "claim",
    title: "claim the migration",
    phase: "before",
    purpose:
      "Moves the target's journal from `loaded` to `cutting-over`, which one run alone can do. A `migrate sync` that runs sees it and lets go; then the migration's lock is taken.",
    expected:
      "The migration is claimed; a running `migrate sync` stands by, and ends by itself with exit status 0 once the product has moved.",
    onFailure:
      "Exit 5: nothing is loaded there yet; run `migrate load`. Exit 4: another run holds the migration; wait for it. Nothing was touched.",
  },
  {
    id: "gates",
    title: "check the gates",
    phase: "before",
    purpose:
      "Looks at what must be true before the product moves: `lag` (few changes wait), `verified` (both sides were found equal lately), `archive` (WAL reaches the repository), `drill` (a restore was proved lately), `disk` (there is room), `rights` (the product's own role, `migrate.appRole`, may use what was loaded), `backup` (both databases can be backed up, and the repository written to). Each is shown with what was found.",
    expected:
      "Five gates, each met, and `rights` where `migrate.appRole` is set; of `backup` only what is in the way.",
    onFailure: `Exit 3: a gate is not met, and the message says which and what to do. Only who decides may pass it, by \`--skip GATE\`. ${STAYS}`,
  },
  {
    id: "backup-sqlite",
    title: "back up SQLite",
    phase: "before",
    purpose:
      "Takes a backup of the SQLite database, so that the last state before the move can be restored whatever follows.",
    expected: "A new backup of engine sqlite in `list`.",
    onFailure: `The repository or the file could not be read or written. ${STAYS}`,
  },
  {
    id: "backup-postgres",
    title: "back up Postgres",
    phase: "before",
    purpose:
      "Takes a base backup of the cluster that the product moves to, from which every instant after the cutover can be restored.",
    expected: "A new backup of engine postgres in `list`.",
    onFailure: `The server refused the backup or the repository did not take it; \`doctor\` names the reason. ${STAYS}`,
  },
  {
    id: "come-close",
    title: "bring Postgres close",
    phase: "before",
    purpose:
      "Brings what the product wrote meanwhile to Postgres until few rows are left, and makes the triggers that will refuse writes; they are not in force yet.",
    expected: "A few rows left. The product's writers have noticed nothing so far.",
    onFailure: `Postgres can't keep up, or the schema of SQLite changed. ${STAYS}`,
  },
  {
    id: "freeze",
    title: "freeze SQLite",
    phase: "held",
    purpose:
      "Takes SQLite's write lock, brings the last rows to Postgres, puts the refusals in force and commits. Writers wait for `holdSeconds`, and only here.",
    expected:
      "Milliseconds. From now on a write to SQLite fails with `lifeboat: moved to Postgres, writes refused`; until the step `switch` this ends by itself with `migrate.budget`, also where this command was killed.",
    onFailure: `The lock was not to be had in time, or the last rows did not fit into Postgres: the transaction is rolled back. ${BACK}`,
  },
  {
    id: "prepare-target",
    title: "prepare Postgres for writes",
    phase: "refused",
    purpose:
      "Sets the identity sequences from SQLite, drops the helper column of tables without a key, and begins to keep Postgres' changes for the way back.",
    expected: "Nothing is shown but the step itself.",
    onFailure: BACK,
  },
  {
    id: "verify-touched",
    title: "compare the last rows",
    phase: "refused",
    purpose:
      "Compares again, value by value, each row of the last deltas on both sides, and looks for orphans of foreign keys.",
    expected: "No row differs.",
    onFailure: `The differing rows are named by table and key. ${BACK}`,
  },
  {
    id: "switch",
    title: "switch the product to Postgres",
    phase: "refused",
    purpose:
      "Makes sure that SQLite took no write since the freeze and lets it take none from now on, then runs `migrate.onCutover`, the product's own switch, within `migrate.budget`. This is the first step that other people's programs take part in: the abort point lies before it.",
    expected: "The command ends with exit status 0, or the URL answers with a status of 2xx.",
    onFailure:
      "The refusals are lifted by themselves and the product is back on SQLite with nothing lost, if it wrote nothing to Postgres. If its switch has already brought it there, switch it back by hand before anything else.",
  },
  {
    id: "drop-capture",
    title: "remove the capture from SQLite",
    phase: "after",
    purpose:
      "Takes the triggers that kept SQLite's changes out of the file. The refusals stay, so that a late writer fails loudly.",
    expected: "Nothing is shown but the step itself.",
    onFailure:
      "The product is in Postgres and stays there. Run the same command again: it ends what is left.",
  },
  {
    id: "close",
    title: "close the journal",
    phase: "after",
    purpose:
      "Writes `cut-over` into the target's journal and a record of this run with `live: postgres` into the repository: from now on backups, drills and restores concern Postgres.",
    expected: "`migrate status` says `cut-over`, and `status` says that postgres is live.",
    onFailure:
      "The product is in Postgres and stays there. Run the same command again when the repository can be reached.",
  },
];
