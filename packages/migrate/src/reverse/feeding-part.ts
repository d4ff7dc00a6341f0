import { sameName } from "../sqlite/schema.ts";
import { isSign, isWord, type Token, tokensOf } from "../sqlite/tokens.ts";

/**
 * A trigger reduced to the statements that write to virtual tables, under another name; null where it has none.
 * @param sql as sqlite_schema holds it
 */
export function feedingPart(sql: string, name: string, virtual: readonly string[]): string | null {
  const tokens = tokensOf(sql);
  const begin = tokens.findIndex((token) => isWord(token, "BEGIN"));
  const kept = statements(tokens.slice(begin + 1, -1)).filter((statement) => {
    const target = targetOf(statement);
    return target !== null && virtual.some((one) => sameName(one, target));
  });
  if (kept.length === 0) return null;
  const named = tokens.findIndex((token) => isWord(token, "TRIGGER")) + 1;
  const head = sql.slice(tokens[named]?.end, tokens[begin]?.start);
  const body = kept.map((one) => `${sql.slice(one[0]?.start, one.at(-1)?.end)};`).join("\n");
  return `CREATE TRIGGER ${name}${head}BEGIN\n${body}\nEND`;
}

/** No statement of a trigger holds a semicolon of its own. */
function statements(tokens: readonly Token[]): Token[][] {
  const found: Token[][] = [[]];
  for (const token of tokens) {
    if (isSign(token, ";")) found.push([]);
    else found.at(-1)?.push(token);
  }
  return found.filter((statement) => statement.length > 0);
}

/** The table that a statement writes to: `INSERT OR x INTO t`, `REPLACE INTO t`, `UPDATE OR x t`, `DELETE FROM t`. */
function targetOf(statement: readonly Token[]): string | null {
  const [first] = statement;
  if (isWord(first, "INSERT") || isWord(first, "REPLACE")) return after(statement, "INTO");
  if (isWord(first, "DELETE")) return after(statement, "FROM");
  if (!isWord(first, "UPDATE")) return null;
  return statement[isWord(statement[1], "OR") ? 3 : 1]?.text ?? null;
}

function after(statement: readonly Token[], word: string): string | null {
  return statement[statement.findIndex((token) => isWord(token, word)) + 1]?.text ?? null;
}
