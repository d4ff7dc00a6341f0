import { closeSync, openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";

/**
 * A product that writes to SQLite while it is migrated: inserts, updates, deletes, REPLACE on a second key, keys that change,
 * cascades, rows that no key tells apart. Its ledger holds what was acknowledged. Ends with standard input, or as soon as it
 * is refused, which it says.
 */
const { values } = parseArgs({
  options: {
    database: { type: "string" },
    ledger: { type: "string" },
    base: { type: "string", default: "0" },
    /** Milliseconds between two commits. */
    pause: { type: "string", default: "1" },
  },
});
const base = Number(values.base);
const pause = Number(values.pause);
const ledger = openSync(values.ledger ?? "", "a");
let stopped = false;
process.stdin.resume();
process.stdin.on("end", () => {
  stopped = true;
});

const db = new Database(values.database ?? "", { timeout: 60_000 });
db.pragma("journal_mode = WAL");
db.pragma("foreign_keys = ON");
const run = (sql: string, ...parameters: unknown[]) => db.prepare(sql).run(...parameters);

function commitOf(seq: number): void {
  const id = base + seq;
  run("INSERT INTO ledger(seq, body) VALUES (?, ?)", id, `body\t${seq}\\${"x".repeat(seq % 50)}\n`);
  run("INSERT INTO accounts(email, balance) VALUES (?, ?)", `User${id % 400}@x`, seq / 3);
  run("INSERT INTO notes VALUES (?, ?)", `note ${seq % 20}`, Buffer.from([0, seq % 256]));
  if (seq % 3 === 0) run("UPDATE ledger SET body = 'again ' || seq WHERE seq = ?", id - 2);
  if (seq % 5 === 0) run("DELETE FROM notes WHERE rowid = (SELECT min(rowid) FROM notes)");
  if (seq % 7 === 0) run("DELETE FROM accounts WHERE id % 97 = ?", seq % 97);
  if (seq % 11 === 0) run("UPDATE OR REPLACE pairs SET b = b + 1000 WHERE a = ?", seq % 10);
  if (seq % 4 === 0)
    run("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?)", seq % 10, seq % 13, `v${seq}`);
  run("INSERT INTO orders(account, at) SELECT max(id), ? FROM accounts", `${seq}`);
}

const commit = db.transaction(commitOf);
writeSync(1, "started\n");
for (let seq = 1; !stopped; seq++) {
  try {
    commit.immediate(seq);
    writeSync(ledger, `${base + seq}\n`);
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    if (code !== "SQLITE_CONSTRAINT_TRIGGER") throw cause;
    writeSync(1, `refused ${message}\n`);
    break;
  }
  if (pause > 0 || seq % 50 === 0) await sleep(pause);
}
db.close();
closeSync(ledger);
