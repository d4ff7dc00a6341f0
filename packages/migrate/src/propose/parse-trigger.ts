import { isSign, isWord, type Token, tokensOf } from "../sqlite/tokens.ts";

/** What CREATE TRIGGER says, its expressions and statements as they were written. */
export interface TriggerSql {
  readonly timing: "BEFORE" | "AFTER";
  readonly event: "INSERT" | "UPDATE" | "DELETE";
  /** Of UPDATE OF; empty where any column counts. */
  readonly columns: readonly string[];
  readonly when: string | null;
  readonly statements: readonly string[];
}

/** Reads a CREATE TRIGGER that SQLite itself has accepted, of a table. */
export function parseTriggerSql(sql: string): TriggerSql {
  const tokens = tokensOf(sql);
  const begin = tokens.findIndex((_, index) => beginsBody(tokens, index));
  const head = tokens.slice(0, begin);
  const on = head.findIndex((token) => isWord(token, "ON"));
  const at = head.findIndex(
    (token, index) => index < on && /^(insert|update|delete)$/i.test(token.text) && isName(token),
  );
  const when = head.findIndex((token, index) => index > on && isWord(token, "WHEN"));
  return {
    // SQLite manual, "CREATE TRIGGER": without a word it is BEFORE.
    timing: isWord(head[at - 1], "AFTER") ? "AFTER" : "BEFORE",
    event: (head[at]?.text ?? "").toUpperCase() as TriggerSql["event"],
    columns: isWord(head[at + 1], "OF") ? namesOf(head.slice(at + 2, on)) : [],
    when: when < 0 ? null : sliceOf(sql, head.slice(when + 1)),
    statements: statementsOf(sql, tokens.slice(begin + 1, -1)),
  };
}

/** The word that a statement follows: a column, or the trigger itself, may be named so as well. */
function beginsBody(tokens: readonly Token[], index: number): boolean {
  const [before, word, after] = [tokens[index - 1], tokens[index], tokens[index + 1]];
  if (!isWord(word, "BEGIN") || isWord(before, "TRIGGER")) return false;
  return /^(insert|replace|update|delete|select|with)$/i.test(after?.text ?? "");
}

function isName({ kind }: Token): boolean {
  return kind === "word";
}

function namesOf(tokens: readonly Token[]): string[] {
  return tokens.filter((token) => !isSign(token, ",")).map(({ text }) => text);
}

function statementsOf(sql: string, body: readonly Token[]): string[] {
  const statements: string[] = [];
  let current: Token[] = [];
  for (const token of body) {
    if (!isSign(token, ";")) current.push(token);
    else {
      statements.push(sliceOf(sql, current));
      current = [];
    }
  }
  return statements;
}

function sliceOf(sql: string, tokens: readonly Token[]): string {
  const [first, last] = [tokens[0], tokens.at(-1)];
  return first && last ? sql.slice(first.start, last.end) : "";
}
