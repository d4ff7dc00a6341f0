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
  const { constraint } = context.choice(init.table, init.column, "constraint");
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

/**
 * Whether a choice leaves a key, index or constraint out although it could go over. Asked of each one, so
 * that an answer stays valid when what it answered was set right meanwhile.
 */
export function isLeftOut(context: MapContext, table: string, subject: string): boolean {
  if (context.choice(table, subject, "constraint").constraint !== "skip") return false;
  context.add(
    finding({
      id: "left-out",
      severity: "warning",
      table,
      column: subject,
      summary: `${subject} of ${table} is left out, as migrate.columns says`,
    }),
  );
  return true;
}
