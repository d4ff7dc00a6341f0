import { type ColumnProfile, storedValues } from "../column-profile.ts";
import { type Choice, finding } from "../finding.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";
import type { SqliteColumn, SqliteTable } from "../sqlite/schema.ts";
import { sameName } from "../sqlite/schema.ts";
import { brokenTest, nulTest } from "../text-shape.ts";
import type { MapContext } from "./context.ts";
import type { Mapping } from "./decide-type.ts";
import { isNullDefault, translateDefault } from "./default-value.ts";
import { columnName } from "./names.ts";
import { noteEpochs } from "./note-epochs.ts";

/** Used where a column has no faithful type, so that the rest of the plan can still be shown. */
const UNDECIDED: Mapping = { type: "text", codec: "tagged" };

/**
 * Plans one column that is not generated, and notes what does not go over as it is.
 * @param mapping null where its values have no faithful type
 */
export function mapColumn(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  mapping: Mapping | null,
): PlannedColumn {
  const profile = context.profile(table).columns.get(column.name) as ColumnProfile;
  if (mapping === null) noteUnfaithful(context, table, column, profile);
  else if (mapping.codec === "numbers-in-text" && storedValues(profile) > 0)
    noteNumbersInText(context, table, column, profile);
  else if (mapping.codec === "integer") noteEpochs(context, table, column, profile);
  const target = columnName(
    column.name,
    table.columns.map(({ name }) => name),
  );
  if (target !== column.name) noteRenamed(context, table.name, column.name, target);
  const { type, codec } = mapping ?? UNDECIDED;
  const identity = table.rowidAlias !== null && sameName(table.rowidAlias, column.name);
  return {
    source: column.name,
    target,
    type,
    codec,
    nullable: !identity && isNullable(context, table, column, profile),
    default: identity ? null : defaultOf(context, table, column, { type, codec }),
    identity: identity && type === "bigint",
    generated: null,
    escape: profile.escapeTexts > 0 || codec === "tagged" || codec === "text-bytes",
    ...(isWide(profile) && { isWide: true as const }),
    ...found(column, profile),
  };
}

/** What the plan says of a column's values beside what becomes of them. */
export function found(
  { declaredType }: SqliteColumn,
  profile: ColumnProfile | undefined,
): Pick<PlannedColumn, "declared" | "stored"> {
  const counts = (["integers", "reals", "texts", "blobs", "nulls"] as const).flatMap((key) => {
    const count = profile?.[key] ?? 0;
    return count > 0 ? [[key, count] as const] : [];
  });
  return { declared: declaredType, stored: Object.fromEntries(counts) };
}

/** Whether JavaScript's numbers lose integers of the column. */
export function isWide({ minInteger, maxInteger }: ColumnProfile): boolean {
  const safe = BigInt(Number.MAX_SAFE_INTEGER);
  return (maxInteger ?? 0n) > safe || (minInteger ?? 0n) < -safe;
}

function noteUnfaithful(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  profile: ColumnProfile,
): void {
  const c = quoteName(column.name);
  const textOnly = profile.texts === storedValues(profile);
  const tagged: Choice = { type: "text", codec: "tagged" };
  if (profile.nulTexts + profile.brokenTexts > 0 && textOnly) {
    const refused = `typeof(${c}) = 'text' AND (${nulTest(c)} OR ${brokenTest(c)})`;
    const bad = context.count(`SELECT count(*) FROM ${quoteName(table.name)} WHERE ${refused}`);
    const id = profile.nulTexts > 0 ? "text-with-nul" : "text-not-utf8";
    context.add(
      finding({
        id,
        severity: "error",
        table: table.name,
        column: column.name,
        count: bad,
        sample: context.sample(table, refused),
        choices: [
          { type: "bytea", codec: "text-bytes" },
          tagged,
          { type: "text", codec: "text-cleaned" },
        ],
        summary: `${table.name}.${column.name} holds ${bad} texts that Postgres refuses (NUL: ${profile.nulTexts}, invalid UTF-8: ${profile.brokenTexts})`,
      }),
    );
    return;
  }
  context.add(
    finding({
      id: "mixed-classes",
      severity: "error",
      table: table.name,
      column: column.name,
      count: storedValues(profile),
      sample: context.sample(table, rarestClass(c, profile)),
      choices: [tagged],
      summary: `${table.name}.${column.name} mixes ${classesOf(profile)}, which no single type brings back`,
    }),
  );
}

function classesOf(profile: ColumnProfile): string {
  return (["integers", "reals", "texts", "blobs"] as const)
    .filter((key) => profile[key] > 0)
    .map((key) => `${profile[key]} ${key === "blobs" ? "BLOBs" : key}`)
    .join(", ");
}

/** The rows that an engineer wants to see are those of the class that is the exception. */
function rarestClass(c: string, profile: ColumnProfile): string {
  const [rarest] = (["integers", "reals", "texts", "blobs"] as const)
    .filter((key) => profile[key] > 0)
    .toSorted((a, b) => profile[a] - profile[b]);
  return `typeof(${c}) = '${(rarest ?? "texts").slice(0, -1)}'`;
}

function noteNumbersInText(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  profile: ColumnProfile,
): void {
  if (profile.integers + profile.reals === 0) return;
  context.add(
    finding({
      id: "numbers-in-text",
      severity: "warning",
      table: table.name,
      column: column.name,
      count: profile.integers + profile.reals,
      sample: context.sample(table, `typeof(${quoteName(column.name)}) IN ('integer', 'real')`),
      choices: [{ type: "text", codec: "tagged" }],
      summary: `${table.name}.${column.name} mixes ${classesOf(profile)}: it becomes text, and numbers keep their spelling`,
    }),
  );
}

function noteRenamed(
  context: MapContext,
  table: string,
  column: string | null,
  target: string,
): void {
  context.add(
    finding({
      id: "renamed",
      severity: "warning",
      table,
      column,
      summary: `${column === null ? `table ${table}` : `column ${column} of ${table}`} can't bear its name in Postgres and becomes ${target}`,
    }),
  );
}

export const noteRenamedTable = (context: MapContext, table: string, target: string) =>
  noteRenamed(context, table, null, target);

function isNullable(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  profile: ColumnProfile,
): boolean {
  if (!column.notNull) return true;
  if (profile.nulls === 0 || context.choice(table.name, column.name, "nullable").nullable)
    return profile.nulls > 0;
  context.add(
    finding({
      id: "null-in-not-null",
      severity: "error",
      table: table.name,
      column: column.name,
      count: profile.nulls,
      sample: context.sample(table, `${quoteName(column.name)} IS NULL`),
      choices: [{ nullable: true }],
      summary: `${table.name}.${column.name} is NOT NULL and holds ${profile.nulls} NULLs`,
    }),
  );
  return true;
}

function defaultOf(
  context: MapContext,
  table: SqliteTable,
  column: SqliteColumn,
  target: Mapping,
): string | null {
  if (column.defaultSql === null || isNullDefault(column.defaultSql)) return null;
  const translated = translateDefault(column.defaultSql, {
    ...target,
    affinity: column.affinity,
  });
  if (translated === null)
    context.add(
      finding({
        id: "default-not-translated",
        severity: "warning",
        table: table.name,
        column: column.name,
        summary: `the default of ${table.name}.${column.name}, ${column.defaultSql}, has no equal for type ${target.type}: the column gets none`,
      }),
    );
  return translated;
}
