import { foldName, type SqliteCheck } from "./schema.ts";
import { closingOf, isSign, isWord, splitAtCommas, type Token, tokensOf } from "./tokens.ts";

/** What only the text of CREATE TABLE tells: no PRAGMA does. */
export interface TableSql {
  readonly checks: SqliteCheck[];
  /** By folded column name. */
  readonly collations: Map<string, string>;
  readonly generated: Map<string, string>;
  /** In the order of declaration; PRAGMA foreign_key_list counts backwards. */
  readonly deferred: boolean[];
  conflictClauses: number;
  autoincrement: boolean;
}

/** Reads CREATE TABLE for CHECKs, collations, generated columns, deferrable foreign keys and conflict clauses. */
export function parseTableSql(sql: string): TableSql {
  const found: TableSql = {
    checks: [],
    collations: new Map(),
    generated: new Map(),
    deferred: [],
    conflictClauses: 0,
    autoincrement: false,
  };
  const tokens = tokensOf(sql);
  const open = tokens.findIndex((token) => isSign(token, "("));
  if (open < 0) return found;
  const body = tokens.slice(open + 1, closingOf(tokens, open));
  for (const definition of splitAtCommas(body)) readDefinition(sql, definition, found);
  return found;
}

const TABLE_CONSTRAINTS = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];

function readDefinition(sql: string, tokens: readonly Token[], found: TableSql): void {
  const first = tokens[0];
  if (!first) return;
  const ofTable = TABLE_CONSTRAINTS.some((word) => isWord(first, word));
  const column = ofTable ? null : foldName(first.text);
  let constraint: string | null = null;
  for (let at = column === null ? 0 : 1; at < tokens.length; at++) {
    const token = tokens[at];
    if (isSign(token, "(")) {
      at = closingOf(tokens, at);
    } else if (isWord(token, "CONSTRAINT")) {
      constraint = tokens[++at]?.text ?? null;
    } else if (isWord(token, "CHECK")) {
      const close = closingOf(tokens, at + 1);
      found.checks.push({ name: constraint, sql: between(sql, tokens, at + 1, close) });
      constraint = null;
      at = close;
    } else {
      at = readClause(sql, tokens, at, column, found);
    }
  }
}

function readClause(
  sql: string,
  tokens: readonly Token[],
  at: number,
  column: string | null,
  found: TableSql,
): number {
  const token = tokens[at];
  if (isWord(token, "AUTOINCREMENT")) found.autoincrement = true;
  if (isWord(token, "CONFLICT") && isWord(tokens[at - 1], "ON")) found.conflictClauses++;
  if (isWord(token, "COLLATE") && column !== null)
    found.collations.set(column, tokens[at + 1]?.text.toUpperCase() ?? "BINARY");
  if (isWord(token, "REFERENCES")) found.deferred.push(false);
  if (isWord(token, "DEFERRED") && isWord(tokens[at - 1], "INITIALLY"))
    markDeferred(tokens, at, found);
  if (isWord(token, "AS") && column !== null && isSign(tokens[at + 1], "(")) {
    const close = closingOf(tokens, at + 1);
    found.generated.set(column, between(sql, tokens, at + 1, close));
    return close;
  }
  if ((isWord(token, "DEFAULT") && !isAction(tokens, at)) || isWord(token, "COLLATE"))
    return skipValue(tokens, at + 1);
  return at;
}

/** NOT DEFERRABLE INITIALLY DEFERRED is immediate: the manual's foreign key page, section 4.2. */
function markDeferred(tokens: readonly Token[], at: number, found: TableSql): void {
  if (isWord(tokens[at - 2], "DEFERRABLE") && !isWord(tokens[at - 3], "NOT"))
    found.deferred[found.deferred.length - 1] = true;
}

/** `ON DELETE SET DEFAULT` gives no value; any clause may come behind it. */
function isAction(tokens: readonly Token[], at: number): boolean {
  const event = tokens[at - 2];
  return isWord(tokens[at - 1], "SET") && (isWord(event, "DELETE") || isWord(event, "UPDATE"));
}

/** A default's value may be a word that is a keyword elsewhere: it is passed over whole. */
function skipValue(tokens: readonly Token[], at: number): number {
  if (isSign(tokens[at], "(")) return closingOf(tokens, at);
  return isSign(tokens[at], "-") || isSign(tokens[at], "+") ? at + 1 : at;
}

function between(sql: string, tokens: readonly Token[], open: number, close: number): string {
  const from = tokens[open]?.end ?? 0;
  const to = tokens[close]?.start ?? sql.length;
  return sql.slice(from, to).trim();
}
