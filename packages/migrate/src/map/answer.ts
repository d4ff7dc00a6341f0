import { type Choice, finding, type MigrationFinding } from "../finding.ts";
import type { MapContext } from "./context.ts";

type Wanted = NonNullable<Choice["constraint"]>;

/**
 * What becomes of a key or constraint that can't be held as it is: the answer of the configuration, or
 * null and an error finding. An answered one stays on record as a warning.
 */
export function answerFor(
  context: MapContext,
  init: Pick<MigrationFinding, "id" | "summary"> &
    Partial<MigrationFinding> & { table: string; column: string },
  answers: readonly Wanted[],
): Wanted | null {
  const { constraint } = context.choice(init.table, init.column);
  const answer = constraint !== undefined && answers.includes(constraint) ? constraint : null;
  context.add(
    finding({
      ...init,
      severity: answer === null ? "error" : "warning",
      choices: answers.map((one) => ({ constraint: one })),
      summary: answer === null ? init.summary : `${init.summary}; chosen: ${answer}`,
    }),
  );
  return answer;
}
