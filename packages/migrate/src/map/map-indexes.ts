import { Untranslatable } from "../expression/expression.ts";
import { parseExpression } from "../expression/parse-expression.ts";
import { type Scope, translate } from "../expression/translate-expression.ts";
import { asCondition, asValue, collated } from "../expression/translated.ts";
import { finding } from "../finding.ts";
import type { PlannedColumn, PlannedConstraint, PlannedIndex } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";
import {
  type SqliteIndex,
  type SqliteIndexColumn,
  type SqliteTable,
  sameName,
} from "../sqlite/schema.ts";
import { answerFor, isLeftOut } from "./answer.ts";
import type { MapContext } from "./context.ts";
import { type LongKeys, longEntries, longKeys, MAX_KEY_BYTES } from "./long-keys.ts";
import { noteCollations } from "./note-collations.ts";
import { tableScope } from "./table-scope.ts";

/** What a table's keys and indexes become. */
export interface PlannedKeys {
  readonly constraints: PlannedConstraint[];
  readonly indexes: PlannedIndex[];
}

/** Plans the primary key, the UNIQUE constraints and the indexes of a table. */
export function mapIndexes(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  target: string,
): PlannedKeys {
  const keys: PlannedKeys = { constraints: [], indexes: [] };
  if (table.primaryKey.length > 0) mapPrimaryKey(context, table, columns, target, keys);
  noteCollations(context, table, columns);
  for (const index of table.indexes) {
    context.choice(table.name, subjectOf(index), "constraint");
    // The answer for a UNIQUE column may be meant for its foreign key: only a problem of its own asks for it.
    if (index.origin === "c" && isLeftOut(context, table.name, index.name)) continue;
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
  const long = longKeys(context, table, table.primaryKey);
  if (long && refuseLength(context, table, subject, long)) {
    if (table.withoutRowid) noteWithoutKey(context, table);
    return;
  }
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
  const missing = names.find((name) => targetsOf(columns, [name]).length === 0);
  // Over the columns that are left it would refuse rows that SQLite takes.
  if (missing !== undefined) {
    const id = "unique-not-translated";
    refuseIndex(context, table, index, { subject, reason: leftOut(missing), id });
    return;
  }
  const long = longKeys(context, table, names);
  if (long && refuseLength(context, table, subject, long)) return;
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
    const long = longEntries(context, table, index);
    const reason = `its keys are longer than the ${MAX_KEY_BYTES} bytes that an index entry of Postgres holds`;
    if (
      long &&
      refuseIndex(context, table, index, { subject, reason, id: "key-too-long", ...long })
    )
      return;
    const wanted = index.origin === "c" ? index.name : `${target}_${names.join("_")}_key`;
    const name = context.names.take(wanted);
    keys.indexes.push({ name, unique: index.unique, definition, subject });
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
    const id = index.unique ? "unique-not-translated" : "index-not-translated";
    refuseIndex(context, table, index, { subject, reason: cause.message, id });
  }
}

function definitionOf(index: SqliteIndex, columns: readonly PlannedColumn[], scope: Scope): string {
  const terms = index.columns.map((term) => {
    const direction = term.descending ? " DESC" : "";
    if (term.column === null) return `(${expressionSql(term, scope)})${direction}`;
    const [name] = targetsOf(columns, [term.column]);
    if (name === undefined) throw new Untranslatable(leftOut(term.column));
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

function leftOut(column: string): string {
  return `its column ${column} is left out`;
}

/** A text is compared under the collation of the index, whatever that of its columns. */
function expressionSql({ expression, collation }: SqliteIndexColumn, scope: Scope): string {
  const found = asValue(translate(parseExpression(expression ?? ""), scope));
  return collation === "BINARY" ? found.sql : collated(found, collation);
}

interface Refused {
  readonly subject: string;
  readonly reason: string;
  readonly id: string;
  readonly count?: number;
  readonly sample?: readonly string[];
}

/** Notes what can't be built, and says that it is left out. A unique index is a constraint; any other only speed. */
function refuseIndex(
  context: MapContext,
  table: SqliteTable,
  index: SqliteIndex,
  { subject, reason, ...found }: Refused,
): true {
  const summary = `${index.unique ? "unique index" : "index"} ${subject} of ${table.name} can't be built in Postgres: ${reason}`;
  const init = { ...found, table: table.name, column: subject, summary };
  if (index.unique) answerFor(context, init, ["skip"]);
  else context.add(finding({ ...init, severity: "warning" }));
  return true;
}

function refuseLength(
  context: MapContext,
  table: SqliteTable,
  subject: string,
  long: LongKeys,
): true {
  const summary = `the key (${subject}) of ${table.name} holds values longer than the ${MAX_KEY_BYTES} bytes that an index entry of Postgres holds`;
  const init = { id: "key-too-long", table: table.name, column: subject, summary, ...long };
  answerFor(context, init, ["skip"]);
  return true;
}

function noteWithoutKey(context: MapContext, table: SqliteTable): void {
  context.add(
    finding({
      id: "not-capturable",
      severity: "warning",
      table: table.name,
      summary: `${table.name} has no rowid: without its key the product's writes to it can't be followed. Leave it out, by "${table.name}": {"table":"skip"}, or load while nothing writes (lifeboat migrate load --offline)`,
    }),
  );
}

/** The names in Postgres of a table's columns. */
export function targetsOf(columns: readonly PlannedColumn[], names: readonly string[]): string[] {
  return names.flatMap((name) => columns.find((one) => sameName(one.source, name))?.target ?? []);
}
