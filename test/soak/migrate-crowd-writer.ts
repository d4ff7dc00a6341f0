import { spawnSync } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";
import pg from "pg";
import { randomFrom } from "../support/random-from.ts";
import { postgresStatement, sqliteStatement } from "./migrate-crowd-statements.ts";

/**
 * One program of a crowd that writes to a product's database all that a product may: transactions of many statements, savepoints and
 * whole transactions that are rolled back, some after they have spilled into the WAL, and with them a process that is killed, writes by the system's older
 * `sqlite3`, VACUUM and checkpoints. On the side that a file names; until standard input ends.
 */
const { values } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    side: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
  },
});
const random = randomFrom(Number(values.seed));
const below = (limit: number) => Math.floor(random() * limit);
let stopped = false;
process.stdin.resume();
process.stdin.on("end", () => {
  stopped = true;
});

const db = new Database(values.database, { timeout: 10_000 });
db.pragma("foreign_keys = ON");
// A transaction of a few pages more than this spills.
db.pragma("cache_size = 10");

/** What SQLite refuses is part of the crowd; a lock that stays, or a damaged file, is not. */
function attempt(sql: string): void {
  try {
    db.exec(sql);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (!code?.startsWith("SQLITE_CONSTRAINT") && !code?.startsWith("SQLITE_BUSY")) throw cause;
  }
}

function end(how: "COMMIT" | "ROLLBACK"): void {
  attempt(how);
  if (db.inTransaction) db.exec("ROLLBACK");
}

function several(most: number): void {
  for (let left = 1 + below(most); left > 0; left--) attempt(sqliteStatement(below));
}

function spill(): void {
  attempt("BEGIN IMMEDIATE");
  if (!db.inTransaction) return;
  several(5);
  attempt(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${50 + below(150)}) INSERT INTO crowd_blob(data) SELECT randomblob(4000) FROM n`,
  );
  attempt(`UPDATE crowd_blob SET data = randomblob(${below(2000)}) WHERE id % 2 = 0`);
  // Its frames stay in the WAL, where the next writer overwrites them.
  if (below(6) === 0) process.kill(process.pid, "SIGKILL");
  if (below(2) === 0) attempt("DELETE FROM crowd_blob WHERE id % 3 > 0");
  end(below(3) === 0 ? "COMMIT" : "ROLLBACK");
}

function savepoint(): void {
  attempt("BEGIN IMMEDIATE");
  if (!db.inTransaction) return;
  several(3);
  db.exec("SAVEPOINT inner");
  several(5);
  if (below(2) === 0) db.exec("ROLLBACK TO inner");
  db.exec("RELEASE inner");
  several(2);
  end("COMMIT");
}

function older(): void {
  const sql = Array.from({ length: 1 + below(5) }, () => `${sqliteStatement(below)};`);
  const whole = ["PRAGMA foreign_keys = ON;", "BEGIN IMMEDIATE;", ...sql, "COMMIT;"].join("\n");
  const { error } = spawnSync("sqlite3", ["-cmd", ".timeout 10000", values.database], {
    input: whole,
    timeout: 30_000,
  });
  if (error) throw error;
}

function inSqlite(): void {
  const dice = below(200);
  if (dice === 0) attempt("VACUUM");
  else if (dice < 4) attempt("PRAGMA wal_checkpoint(TRUNCATE)");
  else if (dice < 8) attempt("PRAGMA wal_checkpoint(PASSIVE)");
  else if (dice < 14) older();
  else if (dice < 40) spill();
  else if (dice < 80) savepoint();
  else if (dice < 120) {
    attempt("BEGIN IMMEDIATE");
    several(8);
    if (db.inTransaction) end(below(4) === 0 ? "ROLLBACK" : "COMMIT");
  } else several(1);
}

async function inPostgres(): Promise<void> {
  const client = new pg.Client(process.env.LIFEBOAT_TEST_URL);
  client.on("error", () => undefined);
  try {
    await client.connect();
    while (!stopped && side() === "postgres") {
      await client.query("BEGIN");
      for (let left = 1 + below(6); left > 0; left--) {
        await client.query("SAVEPOINT one");
        // A key that is taken, a parent that is missing, two that wait for each other.
        await client
          .query(postgresStatement(below))
          .catch(() => client.query("ROLLBACK TO SAVEPOINT one"));
      }
      await client.query(below(5) === 0 ? "ROLLBACK" : "COMMIT");
      await sleep(5);
    }
  } catch {
    // The server was killed, or the product is refused there: it is asked again.
    await sleep(50);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function side(): string {
  return readFileSync(values.side, "utf8");
}

writeSync(1, "started\n");
while (!stopped) {
  const now = side();
  if (now === "sqlite") inSqlite();
  else if (now === "postgres") await inPostgres();
  await sleep(below(8));
}
db.close();
