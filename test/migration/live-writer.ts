import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";

/**
 * A product that writes its table `t(id, code, v)` all the time, in a process of its own: inserts, updates, deletes and
 * REPLACEs of rows by their second key, of ids from 1,000 on. Ends when standard input does.
 */
const { values } = parseArgs({ options: { database: { type: "string" } } });
const db = new Database(values.database ?? "", { timeout: 60_000 });
db.pragma("synchronous = OFF");
let stopped = false;
process.stdin.resume();
process.stdin.on("end", () => {
  stopped = true;
});

const FIRST = 1000;
const KEPT = 3000;
const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?)");
const replace = db.prepare("REPLACE INTO t VALUES (?, ?, ?)");
const update = db.prepare("UPDATE t SET v = ? WHERE id = ?");
const remove = db.prepare("DELETE FROM t WHERE id = ?");
const random = (limit: number) => Math.floor(Math.random() * limit);

writeSync(1, "started\n");
for (let id = FIRST + KEPT; !stopped; id++) {
  insert.run(id, `code ${id}`, 0);
  update.run(random(1e6), id - random(KEPT));
  // Another row's code: that one goes without its own DELETE.
  replace.run(id, `code ${id - random(100)}`, 1);
  remove.run(id - random(KEPT));
  await new Promise((done) => setTimeout(done, 1));
}
db.close();
