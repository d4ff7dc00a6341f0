import type { PlannedColumn, PlannedConstraint } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";
import type { SqliteForeignKey, SqliteTable } from "../sqlite/schema.ts";
import { sameName } from "../sqlite/schema.ts";
import { answerFor, isLeftOut } from "./answer.ts";
import type { MapContext } from "./context.ts";
import { parentOf } from "./key-groups.ts";
import { targetsOf } from "./map-indexes.ts";

/** A table whose columns, keys and indexes are planned already. */
export interface MappedTable {
  readonly table: SqliteTable;
  readonly target: string;
  readonly columns: readonly PlannedColumn[];
  readonly constraints: PlannedConstraint[];
}

interface Reference {
  readonly child: MappedTable;
  readonly key: SqliteForeignKey;
  readonly parent: MappedTable;
  readonly parentColumns: readonly string[];
  readonly subject: string;
}

/** Plans the foreign keys of all tables; each parent gets the plain unique key that Postgres wants where it has none. */
export function mapForeignKeys(context: MapContext, tables: readonly MappedTable[]): void {
  for (const child of tables)
    for (const key of child.table.foreignKeys) mapForeignKey(context, tables, child, key);
}

function mapForeignKey(
  context: MapContext,
  tables: readonly MappedTable[],
  child: MappedTable,
  key: SqliteForeignKey,
): void {
  const subject = key.columns.join(",");
  if (isLeftOut(context, child.table.name, subject)) return;
  const refused = (id: string, summary: string) =>
    answerFor(context, { id, table: child.table.name, column: subject, summary }, ["skip"]);
  const what = `the foreign key ${child.table.name}(${subject})`;
  const found = parentOf(context.source.schema, key);
  const parent = found && tables.find((one) => sameName(one.table.name, found.table.name));
  if (!found || !parent) {
    refused(
      "foreign-key-without-parent",
      `${what} refers to ${key.parent}, which has no such key in this migration`,
    );
    return;
  }
  const reference: Reference = { child, key, parent, parentColumns: found.columns, subject };
  if (!sameTypes(reference)) {
    refused(
      "foreign-key-types",
      `${what} refers to values of another type, which Postgres does not compare, or to a column that is left out`,
    );
    return;
  }
  const answer = orphanAnswer(context, reference, what);
  if (answer === "refuse") return;
  if (!assureParentKey(context, reference)) {
    refused(
      "foreign-key-mismatch",
      `${what} refers to columns of ${parent.table.name} that are not unique`,
    );
    return;
  }
  child.constraints.push(planned(context, reference, answer));
}

function sameTypes({ child, key, parent, parentColumns }: Reference): boolean {
  const typeOf = (columns: readonly PlannedColumn[], name = "") =>
    columns.find((one) => sameName(one.source, name))?.type;
  if (key.columns.length !== parentColumns.length) return false;
  return key.columns.every((name, at) => {
    const type = typeOf(child.columns, name);
    return type !== undefined && type === typeOf(parent.columns, parentColumns[at]);
  });
}

/** A parent key that is unique under NOCASE or RTRIM is unique byte by byte all the more. */
function assureParentKey(context: MapContext, { parent, parentColumns }: Reference): boolean {
  const wanted = targetsOf(parent.columns, parentColumns);
  const has = parent.constraints.some(
    (one) => /^(PRIMARY KEY|UNIQUE) /.test(one.definition) && sameSet(one.definition, wanted),
  );
  if (has) return true;
  const names = new Set(parentColumns.map((name) => name.toLowerCase()));
  const unique = parent.table.indexes.some(
    (index) =>
      index.unique &&
      index.where === null &&
      index.columns.length === names.size &&
      index.columns.every((term) => names.has(term.column?.toLowerCase() ?? "")),
  );
  if (!unique) return false;
  parent.constraints.push({
    name: context.names.take(`${parent.target}_${wanted.join("_")}_key`),
    kind: "unique",
    definition: `UNIQUE (${nameList(wanted)})`,
    validated: true,
    subject: parentColumns.join(","),
  });
  return true;
}

function sameSet(definition: string, wanted: readonly string[]): boolean {
  const part = definition.replace(/^(PRIMARY KEY|UNIQUE) \(|\)$/g, "");
  const sorted = (names: readonly string[]) => names.map(quoteName).toSorted().join(", ");
  return part.split(", ").toSorted().join(", ") === sorted(wanted);
}

/** Whether rows without a parent are stored, and what the configuration says to them. */
function orphanAnswer(
  context: MapContext,
  reference: Reference,
  what: string,
): "valid" | "not-valid" | "refuse" {
  const condition = orphanCondition(reference);
  const { child, subject } = reference;
  const count = context.count(
    `SELECT count(*) FROM ${quoteName(child.table.name)} AS t WHERE ${condition}`,
  );
  if (count === 0) return "valid";
  const answer = answerFor(
    context,
    {
      id: "foreign-key-orphans",
      table: child.table.name,
      column: subject,
      count,
      sample: context.sample(child.table, condition, "t"),
      summary: `${what} finds no parent of the same bytes for ${count} rows`,
    },
    ["not-valid", "skip"],
  );
  return answer === "not-valid" ? answer : "refuse";
}

/** SQL that is true for a row (`t`) whose reference Postgres, which compares byte by byte, would not find. */
function orphanCondition({ key, parent, parentColumns }: Reference): string {
  const set = key.columns.map((name) => `t.${quoteName(name)} IS NOT NULL`);
  const equal = key.columns.map(
    (name, index) =>
      `p.${quoteName(parentColumns[index] ?? "")} = t.${quoteName(name)} COLLATE BINARY`,
  );
  return `${set.join(" AND ")} AND NOT EXISTS (SELECT 1 FROM ${quoteName(parent.table.name)} AS p WHERE ${equal.join(" AND ")})`;
}

function planned(
  context: MapContext,
  { child, key, parent, parentColumns, subject }: Reference,
  answer: "valid" | "not-valid",
): PlannedConstraint {
  const columns = targetsOf(child.columns, key.columns);
  const definition = [
    `FOREIGN KEY (${nameList(columns)})`,
    `REFERENCES ${quoteName(context.schema)}.${quoteName(parent.target)} (${nameList(targetsOf(parent.columns, parentColumns))})`,
    `ON UPDATE ${key.onUpdate} ON DELETE ${key.onDelete}`,
    ...(key.initiallyDeferred ? ["DEFERRABLE INITIALLY DEFERRED"] : []),
  ].join(" ");
  const name = context.names.take(`${child.target}_${columns.join("_")}_fkey`);
  return { name, kind: "foreign-key", definition, validated: answer === "valid", subject };
}
