import type { DescribedStep } from "./described-step.ts";

export type RestoreStepId = "restore" | "replay";

/** What `restore` does with each database, in order; `replay` where it is asked for or needed. */
export function restoreSteps(database: string): readonly DescribedStep<RestoreStepId>[] {
  return [
    {
      id: "restore",
      title: `restore ${database}`,
      purpose:
        "Reads the backup and the log from the repository, checks every object by its digest, and builds the copy beside its place. It gets its name only when it is whole and durable.",
      expected: "The path of the copy, the backup that it came from, and the state that it holds.",
      onFailure:
        "What was begun is removed and nothing that stood there was touched. The message names the object that is missing or damaged; no other backup leads to the same state by the log, or that one had been taken: restore an earlier one by `--backup ID`.",
    },
    {
      id: "replay",
      title: `replay ${database}`,
      purpose:
        "Starts the copy on a private socket that nobody else reaches, lets it recover to its target, and stops it again.",
      expected: "The instant of the last commit that the copy holds.",
      onFailure:
        "The copy stays as it is, without a server. The server's own words are in the message; a segment that is missing or damaged is named.",
    },
  ];
}
