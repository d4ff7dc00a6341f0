import { Untranslatable } from "../expression/expression.ts";
import { parseExpression } from "../expression/parse-expression.ts";
import {
  asCondition,
  asValue,
  collated,
  type Scope,
  translate,
} from "../expression/translate-expression.ts";
import { finding } from "../finding.ts";
import type { PlannedColumn, PlannedConstraint, PlannedIndex } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";
import { withoutQuotedStrings } from "../sqlite/quoted-strings.ts";
import { type SqliteIndex, type SqliteTable, sameName } from "../sqlite/schema.ts";
import { answerFor, isLeftOut } from "./answer.ts";
import type { MapContext } from "./context.ts";
import { tableScope } from "./table-scope.ts";

/** What a table's keys and indexes become. */
export interface PlannedKeys {
  readonly constraints: PlannedConstraint[];
  readonly indexes: PlannedIndex[];
}

/** A btree entry of Postgres holds at most 2,704 bytes; some are its own. */
const MAX_KEY_BYTES = 2600;

/** Plans the primary key, the UNIQUE constraints and the indexes of a table. */
export function mapIndexes(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  target: string,
): PlannedKeys {
  const keys: PlannedKeys = { constraints: [], indexes: [] };
  if (table.primaryKey.length > 0) mapPrimaryKey(context, table, columns, target, keys);
  const noted = new Set<string>();
  for (const index of table.indexes) {
    context.choice(table.name, subjectOf(index));
    // The answer for a UNIQUE column may be meant for its foreign key: only a problem of its own asks for it.
    if (index.origin === "c" && isLeftOut(context, table.name, index.name)) continue;
    noteCollation(context, table, index, noted);
    if (isPlain(index) && index.origin !== "c") {
      if (index.origin === "u") addUnique(context, table, columns, target, index, keys);
    } else addIndex(context, table, columns, target, index, keys);
  }
  return keys;
}

/** What a finding or choice calls an index: its name, or the columns of the constraint behind it. */
function subjectOf(index: SqliteIndex): string {
  if (index.origin === "c") return index.name;
  return index.columns.flatMap((term) => term.column ?? []).join(",");
}

/** Whether the index compares whole columns byte by byte, so that a plain constraint does the same. */
function isPlain(index: SqliteIndex): boolean {
  return (
    index.where === null &&
    index.columns.every((term) => term.column !== null && term.collation === "BINARY")
  );
}

function mapPrimaryKey(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  target: string,
  keys: PlannedKeys,
): void {
  const parts = targetsOf(columns, table.primaryKey);
  const subject = table.primaryKey.join(",");
  const nulls = table.primaryKey.filter(
    (name) => (context.profile(table).columns.get(name)?.nulls ?? 0) > 0,
  );
  if (tooLong(context, table, table.primaryKey) && refuseLength(context, table, subject)) return;
  if (nulls.length > 0)
    context.add(
      finding({
        id: "null-in-primary-key",
        severity: "warning",
        table: table.name,
        column: nulls.join(","),
        count: context.profile(table).columns.get(nulls[0] ?? "")?.nulls ?? 0,
        sample: context.sample(table, `${quoteName(nulls[0] ?? "")} IS NULL`),
        summary: `the primary key of ${table.name} holds NULLs, as SQLite allows: it becomes UNIQUE, which allows them too`,
      }),
    );
  const kind = nulls.length > 0 ? "unique" : "primary-key";
  const words = nulls.length > 0 ? "UNIQUE" : "PRIMARY KEY";
  const name = context.names.take(
    `${target}_${nulls.length > 0 ? `${parts.join("_")}_key` : "pkey"}`,
  );
  keys.constraints.push({
    name,
    kind,
    definition: `${words} (${nameList(parts)})`,
    validated: true,
    subject,
  });
}

function addUnique(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  target: string,
  index: SqliteIndex,
  keys: PlannedKeys,
): void {
  const names = index.columns.flatMap((term) => term.column ?? []);
  const parts = targetsOf(columns, names);
  const subject = names.join(",");
  if (tooLong(context, table, names) && refuseLength(context, table, subject)) return;
  const definition = `UNIQUE (${nameList(parts)})`;
  // UNIQUE on the primary key's own columns is one index in SQLite and would be two here.
  if (keys.constraints.some((one) => one.subject === subject)) return;
  const name = context.names.take(`${target}_${parts.join("_")}_key`);
  keys.constraints.push({ name, kind: "unique", definition, validated: true, subject });
}

function addIndex(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  target: string,
  index: SqliteIndex,
  keys: PlannedKeys,
): void {
  const names = index.columns.flatMap((term) => term.column ?? []);
  const subject = subjectOf(index);
  try {
    const definition = definitionOf(index, columns, tableScope(table, columns));
    if (
      hasLongKeys(context, table, index) &&
      refuseIndex(
        context,
        table,
        index,
        subject,
        "its keys are longer than the 2,600 bytes that an index entry of Postgres holds",
        "key-too-long",
      )
    )
      return;
    const wanted = index.origin === "c" ? index.name : `${target}_${names.join("_")}_key`;
    const name = context.names.take(wanted);
    keys.indexes.push({ name, unique: index.unique, definition, subject });
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
    refuseIndex(
      context,
      table,
      index,
      subject,
      cause.message,
      index.unique ? "unique-not-translated" : "index-not-translated",
    );
  }
}

function definitionOf(index: SqliteIndex, columns: readonly PlannedColumn[], scope: Scope): string {
  const terms = index.columns.map((term) => {
    const direction = term.descending ? " DESC" : "";
    if (term.column === null)
      return `(${asValue(translate(parseExpression(term.expression ?? ""), scope)).sql})${direction}`;
    const [name = ""] = targetsOf(columns, [term.column]);
    const found = scope(null, term.column);
    if (term.collation === "BINARY" || (found && !["text", "opaque"].includes(found.type)))
      return `${quoteName(name)}${direction}`;
    if (!found || found.type === "opaque")
      throw new Untranslatable(
        `collation ${term.collation} on ${term.column}, which is no plain text`,
      );
    return `(${collated(found, term.collation)})${direction}`;
  });
  const where =
    index.where === null
      ? ""
      : ` WHERE ${asCondition(translate(parseExpression(index.where), scope))}`;
  return `(${terms.join(", ")})${where}`;
}

/** Notes what can't be built, and says that it is left out. A unique index is a constraint; any other only speed. */
function refuseIndex(
  context: MapContext,
  table: SqliteTable,
  index: SqliteIndex,
  subject: string,
  reason: string,
  id: string,
): true {
  const summary = `${index.unique ? "unique index" : "index"} ${subject} of ${table.name} can't be built in Postgres: ${reason}`;
  if (index.unique)
    answerFor(context, { id, table: table.name, column: subject, summary }, ["skip"]);
  else
    context.add(finding({ id, severity: "warning", table: table.name, column: subject, summary }));
  return true;
}

function refuseLength(context: MapContext, table: SqliteTable, subject: string): true {
  const summary = `the key (${subject}) of ${table.name} holds values longer than the 2,600 bytes that an index entry of Postgres holds`;
  answerFor(context, { id: "key-too-long", table: table.name, column: subject, summary }, ["skip"]);
  return true;
}

/** Measured, not estimated: of an expression, or of the rows of a partial index, no profile tells. */
function hasLongKeys(context: MapContext, table: SqliteTable, index: SqliteIndex): boolean {
  if (context.profile(table).maxRowBytes <= MAX_KEY_BYTES) return false;
  const terms = index.columns.map(({ column, expression }) =>
    column === null ? withoutQuotedStrings(expression ?? "", table) : quoteName(column),
  );
  const bytes = terms.map((term) => `ifnull(octet_length(${term}), 0)`).join(" + ");
  const where = index.where === null ? "" : `(${withoutQuotedStrings(index.where, table)}) AND `;
  return context.sample(table, `${where}${bytes} > ${MAX_KEY_BYTES}`).length > 0;
}

function tooLong(context: MapContext, table: SqliteTable, names: readonly string[]): boolean {
  const columns = context.profile(table).columns;
  return names.reduce((sum, name) => sum + (columns.get(name)?.maxBytes ?? 0), 0) > MAX_KEY_BYTES;
}

function noteCollation(
  context: MapContext,
  table: SqliteTable,
  index: SqliteIndex,
  noted: Set<string>,
): void {
  for (const term of index.columns) {
    if (
      term.column === null ||
      !index.unique ||
      term.collation === "BINARY" ||
      noted.has(term.column)
    )
      continue;
    noted.add(term.column);
    context.add(
      finding({
        id: "collation",
        severity: "warning",
        table: table.name,
        column: term.column,
        summary: `${table.name}.${term.column} is unique under ${term.collation}: a unique index on the folded text keeps that, but queries that compare it must fold too, as in lower(${quoteName(term.column)} COLLATE "C")`,
      }),
    );
  }
}

/** The names in Postgres of a table's columns. */
export function targetsOf(columns: readonly PlannedColumn[], names: readonly string[]): string[] {
  return names.flatMap((name) => columns.find((one) => sameName(one.source, name))?.target ?? []);
}
