import { quoteText } from "../quote.ts";
import { columnNamed, type SqliteTable } from "./schema.ts";
import { tokensOf } from "./tokens.ts";

/** Our SQLite takes no string in double quotes; the schemas of others hold them. */
export function withoutQuotedStrings(sql: string, table: SqliteTable): string {
  let result = "";
  let end = 0;
  for (const token of tokensOf(sql)) {
    const isString =
      token.kind === "quoted" && sql[token.start] === '"' && !columnNamed(table, token.text);
    result += sql.slice(end, token.start);
    result += isString ? quoteText(token.text) : sql.slice(token.start, token.end);
    end = token.end;
  }
  return result + sql.slice(end);
}
