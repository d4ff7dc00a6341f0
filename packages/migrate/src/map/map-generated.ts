import { Untranslatable } from "../expression/expression.ts";
import { parseExpression } from "../expression/parse-expression.ts";
import { translate } from "../expression/translate-expression.ts";
import { asValue, isDouble, type ValueType } from "../expression/translated.ts";
import { finding } from "../finding.ts";
import type { PlannedColumn } from "../plan.ts";
import type { SqliteColumn, SqliteTable } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";
import { type ColumnFacts, type Mapping, provenWays } from "./decide-type.ts";
import { found, isWide } from "./map-column.ts";
import { columnName } from "./names.ts";
import { tableScope } from "./table-scope.ts";

/** The mappings that a calculated value of a class may have, the plainer first. */
const DOUBLE: readonly Mapping[] = [
  { type: "double precision", codec: "real" },
  { type: "double precision", codec: "number-real" },
  { type: "bigint", codec: "integer" },
];
const WAYS: Readonly<Partial<Record<ValueType, readonly Mapping[]>>> = {
  integer: [{ type: "bigint", codec: "integer" }],
  real: DOUBLE,
  number: DOUBLE,
  text: [{ type: "text", codec: "text" }],
};

/**
 * Plans a generated column: calculated in Postgres where its expression means the same there; by choice
 * a plain column that keeps its values, or none. Null where it is left out.
 */
export function mapGenerated(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  plain: readonly PlannedColumn[],
  asPlain: () => PlannedColumn,
): PlannedColumn | null {
  const { generated } = context.choice(table.name, column.name, "generated");
  if (generated !== undefined) {
    noteAnswered(context, table, column, generated);
    return generated === "skip" ? null : { ...asPlain(), default: null };
  }
  try {
    return calculated(context, table, column, plain);
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
    context.add(
      finding({
        ...foundAt(context, table, column),
        severity: "error",
        summary: `${table.name}.${column.name} is calculated by ${column.generated?.sql}, which is left to choose: ${cause.message}`,
      }),
    );
    return { ...asPlain(), default: null };
  }
}

function foundAt(context: MapContext, table: SqliteTable, column: SqliteColumn) {
  return {
    id: "generated-not-translated",
    table: table.name,
    column: column.name,
    count: context.profile(table).rows,
    choices: [{ generated: "plain" }, { generated: "skip" }],
  } as const;
}

/** What becomes of a column that Postgres does not calculate is for the product to know: SQLite goes on calculating it. */
function noteAnswered(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  answer: "plain" | "skip",
): void {
  const what =
    answer === "skip"
      ? "has no place in Postgres"
      : "is a plain column in Postgres, which the product fills there: a value that SQLite calculates otherwise keeps it from following Postgres";
  context.add(
    finding({
      ...foundAt(context, table, column),
      severity: "warning",
      summary: `${table.name}.${column.name}, calculated by ${column.generated?.sql}, ${what}; chosen: ${answer}`,
    }),
  );
}

function calculated(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  plain: readonly PlannedColumn[],
): PlannedColumn {
  const { sql, type } = asValue(
    translate(parseExpression(column.generated?.sql ?? ""), tableScope(table, plain)),
  );
  const profile = context.profile(table).columns.get(column.name);
  const facts = { profile, affinity: column.affinity, indexed: true } as ColumnFacts;
  const way = WAYS[type]?.find((one) => provenWays(facts, one).length > 0);
  if (!way) throw new Untranslatable(`its values are stored as another class than ${type}`);
  return {
    source: column.name,
    target: columnName(
      column.name,
      table.columns.map(({ name }) => name),
    ),
    ...way,
    nullable: !column.notNull,
    default: null,
    identity: false,
    generated: way.type === "bigint" && isDouble(type) ? `(${sql})::bigint` : sql,
    escape: (profile?.escapeTexts ?? 0) > 0,
    ...(profile && isWide(profile) && { isWide: true as const }),
    ...found(column, profile),
  };
}
