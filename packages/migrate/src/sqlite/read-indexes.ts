import type { Database } from "better-sqlite3";
import { quoteText } from "../quote.ts";
import { type IndexSql, parseIndexSql } from "./index-sql.ts";
import type { SqliteIndex } from "./schema.ts";

interface IndexRow {
  readonly name: string;
  readonly unique: bigint;
  readonly origin: "c" | "u" | "pk";
  readonly sql: string | null;
}

interface TermRow {
  readonly cid: bigint;
  readonly name: string | null;
  readonly desc: bigint;
  readonly coll: string | null;
}

/** The indexes of a table in the order of their creation, those behind UNIQUE and PRIMARY KEY too. */
export function readIndexes(db: Database, table: string): SqliteIndex[] {
  return db
    .prepare<[], IndexRow>(
      `SELECT i.name, i."unique", i.origin, s.sql FROM pragma_index_list(${quoteText(table)}) i
       LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name ORDER BY i.seq DESC`,
    )
    .all()
    .map((row) => readIndex(db, row));
}

function readIndex(db: Database, row: IndexRow): SqliteIndex {
  const text: IndexSql = row.sql === null ? { terms: [], where: null } : parseIndexSql(row.sql);
  const terms = db
    .prepare<[], TermRow>(
      `SELECT cid, name, "desc", coll FROM pragma_index_xinfo(${quoteText(row.name)})
       WHERE "key" = 1 ORDER BY seqno`,
    )
    .all();
  return {
    name: row.name,
    unique: row.unique === 1n,
    origin: row.origin,
    where: text.where,
    columns: terms.map((term, position) => ({
      column: term.cid >= 0n ? term.name : null,
      // cid -2 is an expression; -1 is the rowid itself.
      expression: term.cid >= 0n ? null : (text.terms[position] ?? "rowid"),
      descending: term.desc === 1n,
      collation: (term.coll ?? "BINARY").toUpperCase(),
    })),
  };
}
