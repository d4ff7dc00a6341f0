import { open, stat } from "node:fs/promises";
import Database from "better-sqlite3";

const WORDS =
  "invoice customer paid pending webhook delivered retry monitor timeout flag rollout team template render".split(
    " ",
  );
const ROWS_AT_ONCE = 5_000;

/**
 * A database as a product has one: documents of JSON with ids and sentences, a signature of noise, an index; zstd makes
 * about a third of it. In WAL mode, with a ledger for {@link PacedWriter}.
 */
export async function fillProductDatabase(path: string, megabytes: number): Promise<number> {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = OFF");
  database.exec(`
    CREATE TABLE document(id INTEGER PRIMARY KEY, key TEXT NOT NULL, created_at INTEGER, body TEXT, signature BLOB);
    CREATE INDEX document_key ON document(key);
    CREATE TABLE ledger(seq INTEGER PRIMARY KEY, at REAL, note TEXT);
    CREATE TABLE counter(n INTEGER);
    INSERT INTO counter VALUES (0);`);
  const insert = database.prepare(
    "INSERT INTO document(key, created_at, body, signature) VALUES (lower(hex(randomblob(8))), ?, ?, randomblob(64))",
  );
  const size = database.prepare(
    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
  );
  for (let n = 0; (size.pluck().get() as number) < megabytes * 1e6; )
    database.transaction(() => {
      for (let i = 0; i < ROWS_AT_ONCE; i++, n++) insert.run(1_790_000_000_000 + n * 977, body(n));
    })();
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.close();
  // What fills it is not on the disk yet: whoever is measured first would wait for that.
  const file = await open(path, "r+");
  await file.sync();
  await file.close();
  return (await stat(path)).size;
}

function body(n: number): string {
  const sentence = Array.from(
    { length: 24 },
    () => WORDS[Math.floor(Math.random() * WORDS.length)],
  );
  return JSON.stringify({
    number: n,
    state: WORDS[n % 5],
    amount: Math.random(),
    text: sentence.join(" "),
  });
}
