import { openSync, readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";
import pg from "pg";

/**
 * One process of a product that is moved to Postgres and back: it commits numbered transactions on the side that a file names, which
 * the product's switch writes. Where it is refused it waits for the switch. Its ledger has a line before each transaction
 * and one when it was acknowledged; a number with the first alone may be there or not, and is never tried again. Ends
 * with standard input.
 */
const { values } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    side: { type: "string", default: "" },
    ledger: { type: "string", default: "" },
    /** Its numbers begin here. */
    base: { type: "string", default: "0" },
    /** Milliseconds between two commits. */
    pause: { type: "string", default: "1" },
  },
});
const base = Number(values.base);
const pause = Number(values.pause);
const ledger = openSync(values.ledger, "a+");
const begun = readFileSync(values.ledger, "utf8").split("\n");
/** The last number that an earlier life of this writer began. */
let seq = Math.max(0, ...begun.map((line) => /^begin (\d+)$/.exec(line)?.[1] ?? 0).map(Number));
let stopped = false;
process.stdin.resume();
process.stdin.on("end", () => {
  stopped = true;
});

/** The same statements mean the same on both sides. */
function statements(side: string): string[] {
  const id = base + seq;
  const all = [
    `UPDATE writers SET v = ${seq} WHERE id = ${base}`,
    `INSERT INTO ledger(seq, writer, body) VALUES (${id}, ${base}, '${side} ${"x".repeat(seq % 40)}')`,
    `INSERT INTO copies(seq, v) VALUES (${id}, ${seq} / 4.0)`,
    `INSERT INTO events(seq) VALUES (${id})`,
  ];
  if (seq % 7 === 0) all.push(`UPDATE ledger SET body = 'again ${seq}' WHERE seq = ${id - 5}`);
  if (seq % 5 === 0)
    all.push(
      `DELETE FROM scratch WHERE v = '${base}'`,
      `INSERT INTO scratch VALUES ('${base}'), ('${base}')`,
    );
  return all;
}

const db = new Database(values.database, { timeout: 10_000 });
db.pragma("foreign_keys = ON");
const commitSqlite = db.transaction(() => {
  for (const sql of statements("sqlite")) db.exec(sql);
});

/** @returns whether it was acknowledged; false where it surely is not there */
function inSqlite(): boolean {
  try {
    commitSqlite.immediate();
    return true;
  } catch (cause) {
    const { code, message } = cause as { code: string; message: string };
    if (code.startsWith("SQLITE_BUSY") || message.includes("moved to Postgres, writes refused"))
      return false;
    throw cause;
  }
}

let client: pg.Client | undefined;
async function connected(): Promise<pg.Client | undefined> {
  if (client) return client;
  const made = new pg.Client(process.env.LIFEBOAT_TEST_URL);
  made.on("error", () => {
    if (client === made) client = undefined;
  });
  try {
    await made.connect();
  } catch {
    // The server is away: it is asked again until it is back.
    return undefined;
  }
  client = made;
  return made;
}

/** The same; undefined where nobody can say. */
async function inPostgres(connection: pg.Client): Promise<boolean | undefined> {
  try {
    await connection.query(statements("postgres").join("; "));
    return true;
  } catch (cause) {
    const { code, severity } = cause as { code?: string; severity?: string };
    if (code === "LB001") return false;
    if (severity !== undefined && !code?.startsWith("57P")) throw cause;
    connection.end().catch(() => {});
    client = undefined;
    return undefined;
  }
}

const begin = () => writeSync(ledger, `begin ${++seq}\n`);
writeSync(1, "started\n");
let isBegun = false;
while (!stopped) {
  const side = readFileSync(values.side, "utf8");
  let done: boolean | undefined = false;
  if (side === "sqlite") {
    if (!isBegun) begin();
    isBegun = true;
    done = inSqlite();
  } else if (side === "postgres") {
    const connection = await connected();
    if (connection) {
      if (!isBegun) begin();
      isBegun = true;
      done = await inPostgres(connection);
    }
  }
  if (done === true) writeSync(ledger, `${side} ${seq}\n`);
  // What was refused is tried again, under the same number; what nobody can tell of is not.
  if (done !== false) isBegun = false;
  if (done !== true) await sleep(5);
  // Without a pause it still has to hear that its standard input ends.
  else if (pause > 0 || seq % 20 === 0) await sleep(pause);
}
await client?.end();
db.close();
