import Database from "better-sqlite3";

/** Tables that the product writes in turn. */
export const TABLES = Array.from({ length: 12 }, (_, n) => `part_${n + 1}`);
const ROWS = 5_000;

/**
 * A product of a dozen tables, each with a second unique key, a foreign key and an index, which
 * live-product-writer.ts writes to.
 */
export function makeLiveProduct(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = OFF");
  database.exec(`
    CREATE TABLE account(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
      INSERT INTO account SELECT i, 'account ' || i FROM n;`);
  for (const table of TABLES)
    database.exec(`
      CREATE TABLE ${table}(id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, account INTEGER NOT NULL REFERENCES account(id),
        at REAL, body TEXT);
      CREATE INDEX ${table}_at ON ${table}(account, at);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
        INSERT INTO ${table} SELECT i, 'code ' || i, 1 + i % 100, i / 7.0, json_object('number', i) FROM n;`);
  database.close();
}
