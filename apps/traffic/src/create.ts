import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { Random } from "./random.ts";
import type { Session } from "./session.ts";
import { openSqlite } from "./sqlite-session.ts";

export interface NewDatabase {
  /** Where the file is made. */
  readonly path: string;
  /** How many rows of the product's busiest table it starts with. */
  readonly rows: number;
}

/**
 * Makes a product's SQLite database: its schema, then its first rows in one transaction.
 * @throws SqliteError when the file is there and is no empty database
 */
export async function createDatabase(
  database: NewDatabase,
  product: {
    /** The file of the schema in SQL. */
    readonly schema: URL;
    readonly seed: (session: Session, random: Random, rows: number) => Promise<void>;
  },
): Promise<void> {
  const file = new Database(database.path);
  file.pragma("journal_mode = WAL");
  file.exec(readFileSync(product.schema, "utf8"));
  file.close();
  const session = openSqlite(database.path, { foreignKeys: false });
  try {
    await session.transaction(() => product.seed(session, new Random(1), database.rows));
  } finally {
    await session.close();
  }
}
