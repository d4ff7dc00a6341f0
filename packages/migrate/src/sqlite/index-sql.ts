import { closingOf, isSign, isWord, splitAtCommas, type Token, tokensOf } from "./tokens.ts";

/** The parts of CREATE INDEX that no PRAGMA tells. */
export interface IndexSql {
  /** One text for each indexed term, without COLLATE and ASC or DESC at its end. */
  readonly terms: readonly string[];
  readonly where: string | null;
}

/** Reads the terms and the WHERE of a CREATE INDEX that SQLite has accepted. */
export function parseIndexSql(sql: string): IndexSql {
  const tokens = tokensOf(sql);
  const on = tokens.findIndex((token) => isWord(token, "ON"));
  const open = tokens.findIndex((token, index) => index > on && isSign(token, "("));
  const close = closingOf(tokens, open);
  const terms = splitAtCommas(tokens.slice(open + 1, close)).map((term) => termText(sql, term));
  const where = tokens[close + 1];
  return { terms, where: isWord(where, "WHERE") ? sql.slice(where?.end ?? 0).trim() : null };
}

function termText(sql: string, term: readonly Token[]): string {
  let end = term.length;
  if (isWord(term[end - 1], "ASC") || isWord(term[end - 1], "DESC")) end--;
  if (isWord(term[end - 2], "COLLATE")) end -= 2;
  return sql.slice(term[0]?.start ?? 0, term[end - 1]?.end ?? 0);
}
