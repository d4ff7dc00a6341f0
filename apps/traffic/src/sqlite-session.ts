import Database from "better-sqlite3";
import type { Session } from "./session.ts";
import type { Row, Value } from "./value.ts";

/**
 * Opens a SQLite file as the products do: WAL, foreign keys enforced, five seconds of patience with
 * another writer. The file must exist.
 * @param options.foreignKeys false: not enforced, as before the products' first releases that did
 */
export function openSqlite(
  path: string,
  options: { readonly foreignKeys: boolean } = { foreignKeys: true },
): Session {
  const database = new Database(path, { fileMustExist: true, timeout: 5_000 });
  database.pragma("journal_mode = WAL");
  database.pragma(`foreign_keys = ${options.foreignKeys ? "ON" : "OFF"}`);
  const statements = new Map<string, Database.Statement<Value[], Row>>();
  const prepare = (sql: string) => {
    const statement = statements.get(sql) ?? database.prepare<Value[], Row>(sql);
    statements.set(sql, statement);
    return statement;
  };
  return {
    engine: "sqlite",
    all: async (sql, ...values) => prepare(sql).all(...values),
    run: async (sql, ...values) => prepare(sql).run(...values).changes,
    transaction: (work) => transaction(database, work),
    close: async () => void database.close(),
  };
}

/** IMMEDIATE, since a read that becomes a write can be refused at once, whatever the timeout. */
async function transaction<T>(database: Database.Database, work: () => Promise<T>): Promise<T> {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = await work();
    database.exec("COMMIT");
    return result;
  } catch (thrown) {
    // A failed commit may have ended the transaction already; then there is nothing to roll back.
    if (database.inTransaction) database.exec("ROLLBACK");
    throw thrown;
  }
}
