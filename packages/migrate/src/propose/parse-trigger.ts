import { isSign, isWord, type Token, tokensOf } from "../sqlite/tokens.ts";

/** What CREATE TRIGGER says, its expressions and statements as they were written. */
export interface TriggerSql {
  readonly timing: "BEFORE" | "AFTER" | "INSTEAD OF";
  readonly event: "INSERT" | "UPDATE" | "DELETE";
  /** Of UPDATE OF; empty where any column counts. */
  readonly columns: readonly string[];
  readonly when: string | null;
  readonly statements: readonly string[];
}

/** Reads a CREATE TRIGGER that SQLite itself has accepted. */
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
    timing: timingOf(head, at),
    event: (head[at]?.text ?? "").toUpperCase() as TriggerSql["event"],
    columns: isWord(head[at + 1], "OF") ? namesOf(head.slice(at + 2, on)) : [],
    when: when < 0 ? null : sliceOf(sql, head.slice(when + 1)),
    statements: statementsOf(sql, tokens.slice(begin + 1, -1)),
  };
}

/** The word that a statement follows: a column, or the trigger itself, may be named so as well. */
function beginsBody(tokens: readonly Token[], index: number): boolean {
  if (!isWord(tokens[index], "BEGIN")) return false;
  const [before, after] = [tokens[index - 1], tokens[index + 1]];
  const isNamed = isSign(before, ".") || isWord(before, "TRIGGER") || isWord(before, "EXISTS");
  return !isNamed && /^(insert|replace|update|delete|select|with)$/i.test(after?.text ?? "");
}

function isName({ kind }: Token): boolean {
  return kind === "word";
}

/** SQLite manual, "CREATE TRIGGER": without a word it is BEFORE. */
function timingOf(head: readonly Token[], event: number): TriggerSql["timing"] {
  if (isWord(head[event - 1], "AFTER")) return "AFTER";
  return isWord(head[event - 1], "OF") && isWord(head[event - 2], "INSTEAD")
    ? "INSTEAD OF"
    : "BEFORE";
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
