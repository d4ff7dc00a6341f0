import type { PlannedConstraint, PlannedIndex } from "./plan.ts";

/** What a planned foreign key names, all in Postgres. */
export interface ForeignKeyParts {
  readonly columns: readonly string[];
  readonly schema: string;
  readonly parent: string;
  readonly parentColumns: readonly string[];
  readonly onUpdate: string;
  readonly onDelete: string;
  readonly isDeferred: boolean;
}

const NAME = `"(?:[^"]|"")*"`;
const LIST = `\\((${NAME}(?:, ${NAME})*)\\)`;
const ACTION = "(NO ACTION|RESTRICT|CASCADE|SET NULL|SET DEFAULT)";
const FOREIGN_KEY = new RegExp(
  `^FOREIGN KEY ${LIST} REFERENCES (${NAME})\\.(${NAME}) ${LIST} ON UPDATE ${ACTION} ON DELETE ${ACTION}( DEFERRABLE INITIALLY DEFERRED)?$`,
);
const KEY = new RegExp(`^(?:PRIMARY KEY|UNIQUE) ${LIST}$`);

/** Reads a foreign key of a plan back into its parts. */
export function foreignKeyParts({ name, definition }: PlannedConstraint): ForeignKeyParts {
  const [, columns, schema, parent, parentColumns, onUpdate, onDelete, deferred] =
    FOREIGN_KEY.exec(definition) ?? [];
  if (onUpdate === undefined || onDelete === undefined)
    throw new Error(`foreign key ${name} of the plan is of another form: ${definition}`);
  return {
    columns: namesIn(columns),
    schema: namesIn(schema)[0] ?? "",
    parent: namesIn(parent)[0] ?? "",
    parentColumns: namesIn(parentColumns),
    onUpdate,
    onDelete,
    isDeferred: deferred !== undefined,
  };
}

/** The columns of a planned primary key or UNIQUE. */
export function keyParts({ name, definition }: PlannedConstraint): readonly string[] {
  const list = KEY.exec(definition)?.[1];
  if (list === undefined) throw new Error(`key ${name} of the plan is of another form`);
  return namesIn(list);
}

function namesIn(list = ""): string[] {
  return [...list.matchAll(/"((?:[^"]|"")*)"/g)].map(([, name = ""]) => name.replaceAll('""', '"'));
}

/** The condition of a planned CHECK. */
export function checkCondition({ name, definition }: PlannedConstraint): string {
  const condition = /^CHECK \(([\s\S]*)\)$/.exec(definition)?.[1];
  if (condition === undefined) throw new Error(`check ${name} of the plan is of another form`);
  return condition;
}

/** What a planned index is built of. */
export interface IndexParts {
  readonly terms: readonly IndexTerm[];
  /** Of a partial index. */
  readonly where: string | null;
}

export interface IndexTerm {
  /** A column, or null where it is an expression, in its parentheses. */
  readonly column: string | null;
  readonly sql: string;
  readonly isDescending: boolean;
}

const COLUMN_TERM = new RegExp(`^${NAME}$`);

export function indexParts({ name, definition }: PlannedIndex): IndexParts {
  const parts = topLevel(definition);
  const [list = "", ...rest] = parts;
  const where = rest.join("").trim();
  if (!list.startsWith("(") || (where !== "" && !where.startsWith("WHERE ")))
    throw new Error(`index ${name} of the plan is of another form`);
  return {
    terms: termsOf(list.slice(1, -1)),
    where: where === "" ? null : where.slice("WHERE ".length),
  };
}

function termsOf(list: string): IndexTerm[] {
  return split(list, ",").map((term) => {
    const isDescending = term.endsWith(" DESC");
    const sql = (isDescending ? term.slice(0, -" DESC".length) : term).trim();
    const column = COLUMN_TERM.test(sql) ? (namesIn(sql)[0] ?? "") : null;
    return { column, sql, isDescending };
  });
}

/** The parenthesis that a text begins with, and what follows it. */
function topLevel(sql: string): [string, string] {
  let depth = 0;
  for (const { text, at } of pieces(sql)) {
    if (text === "(") depth++;
    if (text === ")" && --depth === 0) return [sql.slice(0, at + 1), sql.slice(at + 1)];
  }
  return [sql, ""];
}

function split(sql: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { text, at } of pieces(sql)) {
    if (text === "(") depth++;
    if (text === ")") depth--;
    if (text !== separator || depth > 0) continue;
    parts.push(sql.slice(from, at));
    from = at + 1;
  }
  return [...parts, sql.slice(from)].map((part) => part.trim());
}

/** Signs one by one, quoted names and strings whole: as Postgres reads them with standard_conforming_strings. */
function pieces(sql: string): { text: string; at: number }[] {
  return [...sql.matchAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'|[\s\S]/g)].map(({ 0: text, index }) => ({
    text,
    at: index,
  }));
}
