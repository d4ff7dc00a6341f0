import { LifeboatError } from "@lifeboat/core";
import type { MigrationFinding } from "../finding.ts";

/** Somebody's trigger would do once more what SQLite's own has done, to rows that nobody compares. */
export function targetActs(findings: readonly MigrationFinding[]): LifeboatError {
  const [first, ...more] = findings;
  return new LifeboatError({
    code: "TARGET_ACTS",
    kind: "refused",
    message: `${first?.summary}${more.length > 0 ? ` (and ${more.length} more)` : ""}`,
    remedy:
      "drop or disable what is named (migrate.onCutover may enable it again), then run lifeboat migrate verify, which finds what it has done by now, and this",
    details: { findings },
  });
}
