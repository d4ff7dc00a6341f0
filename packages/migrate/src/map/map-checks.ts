import { Untranslatable } from "../expression/expression.ts";
import { parseExpression } from "../expression/parse-expression.ts";
import { translate } from "../expression/translate-expression.ts";
import { asCondition } from "../expression/translated.ts";
import { finding } from "../finding.ts";
import type { PlannedColumn, PlannedConstraint } from "../plan.ts";
import { withoutQuotedStrings } from "../sqlite/quoted-strings.ts";
import type { SqliteCheck, SqliteTable } from "../sqlite/schema.ts";
import { answerFor, isLeftOut } from "./answer.ts";
import type { MapContext } from "./context.ts";
import { tableScope } from "./table-scope.ts";

/** Plans the CHECK constraints that mean the same in Postgres; a warning for each other. */
export function mapChecks(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  target: string,
): PlannedConstraint[] {
  return table.checks.flatMap((check, position) => {
    const subject = check.name ?? `check ${position + 1}`;
    if (isLeftOut(context, table.name, subject)) return [];
    const sql = translated(context, table, columns, check, subject);
    if (sql === null) return [];
    const validated = isKept(context, table, check, subject);
    if (validated === null) return [];
    const name = context.names.take(check.name ?? `${target}_check`);
    return [{ name, kind: "check" as const, definition: `CHECK (${sql})`, validated, subject }];
  });
}

function translated(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  check: SqliteCheck,
  subject: string,
): string | null {
  try {
    return asCondition(translate(parseExpression(check.sql), tableScope(table, columns)));
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
    context.add(
      finding({
        id: "check-not-translated",
        severity: "warning",
        table: table.name,
        column: subject,
        summary: `CHECK (${check.sql}) of ${table.name} is left out: ${cause.message}`,
      }),
    );
    return null;
  }
}

/** True where all rows pass, false where they don't and stay by choice, null where the CHECK goes. */
function isKept(
  context: MapContext,
  table: SqliteTable,
  check: SqliteCheck,
  subject: string,
): boolean | null {
  const violated = `NOT (${withoutQuotedStrings(check.sql, table)})`;
  const sample = context.sample(table, violated);
  if (sample.length === 0) return true;
  const answer = answerFor(
    context,
    {
      id: "check-violated",
      table: table.name,
      column: subject,
      count: context.count(
        `SELECT count(*) FROM "${table.name.replaceAll('"', '""')}" WHERE ${violated}`,
      ),
      sample,
      summary: `rows of ${table.name} break its CHECK (${check.sql})`,
    },
    ["not-valid", "skip"],
  );
  return answer === "not-valid" ? false : null;
}
