import type { DescribedStep } from "./described-step.ts";

export type DrillStepId = "restore" | "revive" | "check";

/** What `drill` does with each database, in order. */
export function drillSteps(database: string): readonly DescribedStep<DrillStepId>[] {
  return [
    {
      id: "restore",
      title: `restore ${database}`,
      purpose:
        "Restores the newest state, or the instant that was asked for, into a scratch folder, as `restore` does.",
      expected: "Its share of the recovery time, in two parts: fetch and restore.",
      onFailure:
        "The backup can't be restored: this is the very thing that drills are for. The message names the object; `verify` finds all that are damaged.",
    },
    {
      id: "revive",
      title: "bring the copy to life",
      purpose:
        "Opens the copy, or starts a private server on it, and lets it recover. Nothing that runs there can reach the live database.",
      expected: "Its share of the recovery time: replay.",
      onFailure:
        "The copy was restored and does not come up: the server's own words are in the message.",
    },
    {
      id: "check",
      title: "check the copy",
      purpose:
        "Asks whether the copy is sound, and whether each statement that the product asserts is true in it.",
      expected: "A line for each check: `ok`.",
      onFailure:
        "A line `FAILED` says what the copy answered. Restore an earlier instant by `drill --at` to find when it began.",
    },
  ];
}
