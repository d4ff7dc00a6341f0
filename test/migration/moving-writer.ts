import { closeSync, openSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";
import pg from "pg";

/**
 * A product that was moved to Postgres and may be moved back: it commits numbered rows there, and in SQLite from when it
 * is told that its writes are refused. Its ledger holds what was acknowledged. Ends when standard input does.
 */
const { values } = parseArgs({
  options: { database: { type: "string" }, ledger: { type: "string" }, base: { type: "string" } },
});
const base = Number(values.base);
const ledger = openSync(values.ledger ?? "", "a");
let stopped = false;
process.stdin.resume();
process.stdin.on("end", () => {
  stopped = true;
});

let seq = 0;
const acknowledge = (side: string) => writeSync(ledger, `${base + seq} ${side}\n`);

async function inPostgres(): Promise<void> {
  const client = new pg.Client(process.env.LIFEBOAT_TEST_URL);
  client.on("error", () => {});
  await client.connect();
  try {
    while (!stopped) {
      seq++;
      await client.query("BEGIN");
      await client.query("INSERT INTO ledger(seq, body) VALUES ($1, $2)", [
        base + seq,
        `pg ${seq}`,
      ]);
      await client.query("UPDATE counters SET v = $1 WHERE id = $2", [seq, base]);
      if (seq % 7 === 0)
        await client.query("UPDATE ledger SET body = 'again' WHERE seq = $1", [base + seq - 5]);
      if (seq % 11 === 0)
        await client.query("DELETE FROM scratch; INSERT INTO scratch VALUES ('x')");
      await client.query("COMMIT");
      acknowledge("postgres");
    }
  } catch (cause) {
    if ((cause as { code?: string }).code !== "LB001") throw cause;
    // The transaction that was refused is done again, in SQLite.
    seq--;
    writeSync(ledger, `refused ${(cause as Error).message}\n`);
  } finally {
    await client.end().catch(() => {});
  }
}

async function inSqlite(): Promise<void> {
  const db = new Database(values.database ?? "", { timeout: 60_000 });
  const commit = db.transaction(() => {
    db.prepare("INSERT INTO ledger(seq, body) VALUES (?, ?)").run(base + seq, `sqlite ${seq}`);
    db.prepare("UPDATE counters SET v = ? WHERE id = ?").run(seq, base);
  });
  while (!stopped) {
    seq++;
    try {
      commit.immediate();
      acknowledge("sqlite");
    } catch (cause) {
      if (!/lifeboat: moved to Postgres/.test((cause as Error).message)) throw cause;
      seq--;
    }
    await new Promise((done) => setTimeout(done, 5));
  }
  db.close();
}

writeSync(1, "started\n");
await inPostgres();
await inSqlite();
closeSync(ledger);
