import { LifeboatError } from "@lifeboat/core";
import { quoteName, quoteText } from "../quote.ts";
import { withoutQuotedStrings } from "../sqlite/quoted-strings.ts";
import {
  columnNamed,
  type SqliteIndex,
  type SqliteIndexColumn,
  type SqliteTable,
} from "../sqlite/schema.ts";
import { type Token, tokensOf } from "../sqlite/tokens.ts";
import type { CapturedTable } from "./captured-table.ts";

/** What compares gives another answer where a column has lost its affinity or collation, as in `new.a`. */
const COMPARING_SIGNS = ["=", "==", "<", ">", "<=", ">=", "<>", "!="];
const COMPARING_WORDS =
  /^(?:is|in|between|like|glob|regexp|match|case|min|max|nullif|isnull|notnull|select|collate|iif)$/i;

const CONSTANT = /^(?:null|true|false|current_\w+)$/i;

/** One way in which a row that is there may stand in the way of the new one. */
export interface Conflict {
  /** Finds the row. */
  readonly where: string;
  /** An UPDATE that sets none of these columns cannot bring it about; null where the columns don't tell. */
  readonly columns: readonly string[] | null;
}

/** All ways in which a REPLACE may remove rows of the table. */
export function replacedRows({ planned, source }: CapturedTable): readonly Conflict[] {
  const byIndex = source.indexes
    .filter((index) => index.unique && !isRowidAlone(source, index))
    .map((index) => ({
      where: conflictOn(source, index),
      columns: settableColumns(source, index),
    }));
  return [...byIndex, ...byRowid(source, planned.key.length > 0)];
}

/** A row may also enter a partial index, or get another expression, by columns that the index does not name. */
function settableColumns(source: SqliteTable, index: SqliteIndex): readonly string[] | null {
  if (index.where !== null) return null;
  const names = index.columns.map(({ column }) => column);
  const areStored = names.every((name) =>
    source.columns.some((column) => column.name === name && column.generated === null),
  );
  return areStored ? (names as readonly string[]) : null;
}

/** A rowid can be set to one in use; where the key is the rowid, or the log names it, it is logged afterwards anyhow. */
function byRowid(source: SqliteTable, isKeyed: boolean): readonly Conflict[] {
  if (!isKeyed || source.rowid === null || source.rowidAlias !== null) return [];
  return [{ where: `${source.rowid} = new.${source.rowid}`, columns: null }];
}

function isRowidAlone(source: SqliteTable, index: SqliteIndex): boolean {
  return index.origin === "pk" && source.rowidAlias !== null;
}

/** NULL equals nothing in a unique index, and in `=`. */
function conflictOn(source: SqliteTable, index: SqliteIndex): string {
  const equal = index.columns.map((term) => {
    const collated = `COLLATE ${quoteName(term.collation)}`;
    if (term.column !== null)
      return `${quoteName(term.column)} ${collated} = ${newValue(source, term.column)}`;
    return `(${expressionOf(term)}) ${collated} = (${ofNewRow(source, index, term)})`;
  });
  // As written, so that SQLite sees that the partial index answers it.
  return [...equal, ...(index.where === null ? [] : [`(${index.where})`])].join(" AND ");
}

/** A REPLACE gives a NOT NULL column its default in place of a NULL, once the BEFORE triggers have run (lang_conflict.html). */
function newValue(source: SqliteTable, name: string): string {
  const given = `new.${quoteName(name)}`;
  const column = columnNamed(source, name);
  if (!column?.notNull || column.defaultSql === null) return given;
  return `ifnull(${given}, ${defaultValue(column.defaultSql, source)})`;
}

/** A name in a default, quoted or bare, is a text: no column can be meant (lang_createtable.html). */
function defaultValue(sql: string, source: SqliteTable): string {
  const [first, ...more] = tokensOf(sql);
  const isName = first?.kind === "quoted" || (first?.kind === "word" && !CONSTANT.test(first.text));
  if (isName && more.length === 0) return quoteText(first.text);
  return withoutQuotedStrings(sql, { ...source, columns: [] });
}

function expressionOf(term: SqliteIndexColumn): string {
  return term.expression ?? "rowid";
}

/** The same expression, of the row that is about to be written. */
function ofNewRow(source: SqliteTable, index: SqliteIndex, term: SqliteIndexColumn): string {
  const sql = expressionOf(term);
  const comparing = comparingIn(term);
  if (comparing !== undefined) throw notCapturable(source, index, comparing);
  const columns = source.columns.map(
    ({ name }) => `${newValue(source, name)} AS ${quoteName(name)}`,
  );
  if (source.rowid !== null && source.rowidAlias === null)
    columns.push(`new.${source.rowid} AS ${source.rowid}`);
  return `SELECT ${sql} FROM (SELECT ${columns.join(", ")})`;
}

/** Unique indexes by which it can't be told before a write which rows a REPLACE would remove, each with the word that is why. */
export function untellableIndexes(
  source: SqliteTable,
): readonly { readonly index: SqliteIndex; readonly word: string }[] {
  return source.indexes
    .filter((index) => index.unique && !isRowidAlone(source, index))
    .flatMap((index) => {
      const word = index.columns.map(comparingIn).find((found) => found !== undefined);
      return word === undefined ? [] : [{ index, word }];
    });
}

function comparingIn(term: SqliteIndexColumn): string | undefined {
  if (term.column !== null) return undefined;
  return tokensOf(expressionOf(term)).find(isComparing)?.text;
}

function isComparing({ kind, text }: Token): boolean {
  return (
    (kind === "sign" && COMPARING_SIGNS.includes(text)) ||
    (kind === "word" && COMPARING_WORDS.test(text))
  );
}

function notCapturable(source: SqliteTable, index: SqliteIndex, word: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_CAPTURABLE",
    kind: "refused",
    message: `the unique index ${index.name} of ${source.name} holds an expression with ${word}, and which rows a REPLACE would remove by it can't be told before`,
    remedy:
      "make a generated column of the expression and the index on that, or load while nothing writes: lifeboat migrate load --offline",
    details: { table: source.name, index: index.name },
  });
}

/** @throws LifeboatError `NOT_CAPTURABLE` for the first index of {@link untellableIndexes} */
export function assertCapturable(source: SqliteTable): void {
  const [first] = untellableIndexes(source);
  if (first) throw notCapturable(source, first.index, first.word);
}
