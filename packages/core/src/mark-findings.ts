import type { Finding } from "./finding.ts";
import type { Repository } from "./repository.ts";

/** What whoever goes on without a damaged `lifeboat.json` tells of it; nothing where it is whole. */
export function markFindings(
  { markProblem }: Repository,
  severity: "error" | "warning" = "error",
): Finding[] {
  if (!markProblem) return [];
  return [
    {
      id: "manifest-damaged",
      severity,
      summary: markProblem.message,
      remedy:
        "bring this object back from a copy of the repository: until then no backup and no log is taken there",
    },
  ];
}
