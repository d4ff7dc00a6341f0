import { closeSync, openSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";

/**
 * A product in a process of its own: commits one numbered row after the other, each with a counter
 * and a random older row in the same transaction, and notes in its ledger what was acknowledged. Runs
 * until it is killed or its standard input ends.
 */
const { values } = parseArgs({
  options: {
    database: { type: "string" },
    ledger: { type: "string" },
    rate: { type: "string", default: "1000" },
    autocheckpoint: { type: "string", default: "1000" },
    payload: { type: "string", default: "200" },
    journal: { type: "string" },
    paced: { type: "string" },
  },
});
const { database: path, ledger } = values;
if (path === undefined || ledger === undefined)
  throw new Error("--database and --ledger are needed");

const database = new Database(path, { fileMustExist: true, timeout: 60_000 });
database.pragma("synchronous = NORMAL");
if (values.journal !== undefined) database.pragma(`journal_mode = ${values.journal}`);
database.pragma(`wal_autocheckpoint = ${Number(values.autocheckpoint)}`);

const last = database.prepare("SELECT v FROM counter").pluck();
const insert = database.prepare("INSERT INTO ledger(seq, payload) VALUES (?, randomblob(?))");
const update = database.prepare("UPDATE ledger SET payload = randomblob(?) WHERE seq = ?");
const count = database.prepare("UPDATE counter SET v = ?");
const commit = database.transaction((seq: number) => {
  const bytes = Number(values.payload);
  insert.run(seq, bytes);
  update.run(bytes, 1 + Math.floor(Math.random() * seq));
  count.run(seq);
});

const acknowledged = openSync(ledger, "a");
/** Paced, it commits once for each byte that it is given. */
let allowed = values.paced === "true" ? 0 : Number.POSITIVE_INFINITY;
process.stdin.on("data", (given) => {
  allowed += given.length;
});
process.stdin.on("end", () => {
  closeSync(acknowledged);
  database.close();
  process.exit(0);
});

let seq = Number(last.get());
const startedAt = performance.now();
let done = 0;
function work(): void {
  // As many as are due by now, but never so many that standard input goes unheard.
  const due = Math.min(((performance.now() - startedAt) / 1000) * Number(values.rate), done + 50);
  while (done < Math.min(due, allowed)) {
    seq += 1;
    const began = performance.now();
    commit.immediate(seq);
    const milliseconds = (performance.now() - began).toFixed(1);
    writeSync(acknowledged, `${seq} ${Date.now()} ${milliseconds}\n`);
    done += 1;
  }
  setTimeout(work, 1);
}
work();
