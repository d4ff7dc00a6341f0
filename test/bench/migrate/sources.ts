import { randomBytes } from "node:crypto";
import Database from "better-sqlite3";

/** A SQLite database to migrate, of one kind. */
export interface SourceDatabase {
  readonly name: string;
  readonly path: string;
  /** Its large tables, and their rows. */
  readonly tables: Readonly<Record<string, number>>;
}

const ROWS_AT_ONCE = 10_000;
const LONGEST = 16 * 1024 * 1024;
const START = Date.UTC(2026, 0, 1);

/** Pings of monitors: integers, a real and a short text, a foreign key and an index. */
export function makeNarrow(path: string, pings: number): SourceDatabase {
  const database = open(path);
  addPings(database, pings);
  database.close();
  return { name: "narrow", path, tables: { pings } };
}

/** Captured requests: a BLOB of about a kilobyte, headers as JSON, times as text. */
export function makeWide(path: string, captures: number): SourceDatabase {
  const database = open(path);
  addCaptures(database, captures);
  database.close();
  return { name: "wide", path, tables: { captures } };
}

/** Both, and accounts with a text key and a unique index. */
export function makeMixed(path: string, unit: number): SourceDatabase {
  const database = open(path);
  const tables = { pings: unit * 10, captures: unit, accounts: unit };
  addPings(database, tables.pings);
  addCaptures(database, tables.captures);
  database.exec(
    "CREATE TABLE accounts(key TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, balance REAL, note TEXT)",
  );
  const insert = database.prepare("INSERT INTO accounts VALUES (?, ?, ?, ?)");
  fill(database, tables.accounts, (n) =>
    insert.run(`account-${n}`, `user${n}@example.com`, n / 7, n % 3 === 0 ? null : "tab\there"),
  );
  database.close();
  return { name: "mixed", path, tables };
}

/** Files and pages of up to 16 MB each, beside rows that are short. */
export function makeLong(path: string, files: number): SourceDatabase {
  const database = open(path);
  database.exec(
    "CREATE TABLE files(id INTEGER PRIMARY KEY, name TEXT NOT NULL, page TEXT, content BLOB)",
  );
  const insert = database.prepare("INSERT INTO files VALUES (?, ?, ?, ?)");
  const longest = randomBytes(LONGEST);
  const page = "a line of a page\n".repeat(LONGEST / 17);
  for (let n = 0; n < files; n++) {
    const length = n % 3 === 0 ? LONGEST : n % 1_000;
    if (n % 2) insert.run(n + 1, `file ${n}`, null, longest.subarray(0, length));
    else insert.run(n + 1, `page ${n}`, page.slice(0, length), null);
  }
  database.close();
  return { name: "long", path, tables: { files } };
}

function addPings(database: Database.Database, rows: number): void {
  database.exec(`
    CREATE TABLE monitors(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE pings(id INTEGER PRIMARY KEY, monitor_id INTEGER NOT NULL REFERENCES monitors(id),
      at INTEGER NOT NULL, status INTEGER NOT NULL, ms REAL, note TEXT);`);
  const monitor = database.prepare("INSERT INTO monitors VALUES (?, ?)");
  fill(database, 1_000, (n) => monitor.run(n + 1, `monitor ${n}`));
  const insert = database.prepare("INSERT INTO pings VALUES (?, ?, ?, ?, ?, ?)");
  fill(database, rows, (n) =>
    insert.run(n + 1, 1 + (n % 1_000), START + n * 1_000, n % 50 ? 200 : 503, n / 13, "ok"),
  );
  database.exec("CREATE INDEX pings_by_monitor ON pings(monitor_id, at)");
}

function addCaptures(database: Database.Database, rows: number): void {
  database.exec(`
    CREATE TABLE captures(id INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL, method TEXT NOT NULL,
      headers TEXT NOT NULL, body BLOB, received_at TEXT NOT NULL)`);
  const insert = database.prepare("INSERT INTO captures VALUES (?, ?, ?, ?, ?, ?)");
  const noise = randomBytes(1 << 20);
  fill(database, rows, (n) => {
    const at = (n * 997) % (noise.length - 2_048);
    const headers = { host: "example.com", "content-length": String(n % 2_048), "x-id": `${n}` };
    const received = new Date(START + n * 1_000).toISOString();
    const body = noise.subarray(at, at + 1 + (n % 2_048));
    insert.run(n + 1, n % 2_000, "POST", JSON.stringify({ headers }), body, received);
  });
}

function open(path: string): Database.Database {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = OFF");
  return database;
}

function fill(database: Database.Database, rows: number, insert: (n: number) => unknown): void {
  for (let from = 0; from < rows; from += ROWS_AT_ONCE)
    database.transaction(() => {
      for (let n = from; n < Math.min(rows, from + ROWS_AT_ONCE); n++) insert(n);
    })();
}
