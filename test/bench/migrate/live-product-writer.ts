import Database from "better-sqlite3";
import { keepPace } from "../sqlite/keep-pace.ts";
import { TABLES } from "./live-product.ts";

/**
 * Commits one write at a time to one of the product's tables: half of them insert, three in ten update, one in ten deletes,
 * and one in ten replaces a row by its second key. Started as paced-writer-process.ts is.
 */
const [path = "", rate = "", synchronous = ""] = process.argv.slice(2);
const database = new Database(path, { timeout: 10_000 });
database.pragma(`synchronous = ${synchronous}`);
database.pragma("foreign_keys = ON");
const tables = TABLES.map((table) => ({
  last: database.prepare(`SELECT max(id) FROM ${table}`).pluck().get() as number,
  insert: database.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, ?, ?)`),
  update: database.prepare(`UPDATE ${table} SET at = ?, body = ? WHERE id = ?`),
  remove: database.prepare(`DELETE FROM ${table} WHERE id = ?`),
  replace: database.prepare(`REPLACE INTO ${table} VALUES (?, ?, ?, ?, ?)`),
}));
const below = (limit: number) => Math.floor(Math.random() * limit);

let commits = 0;
keepPace(Number(rate), () => {
  const table = tables[commits++ % tables.length];
  if (!table) return;
  const share = Math.random();
  const at = Date.now() / 1000;
  const body = JSON.stringify({ commit: commits, note: "written while it moves" });
  const account = 1 + below(100);
  if (share < 0.5) {
    table.last++;
    table.insert.run(table.last, `code ${table.last}`, account, at, body);
  } else if (share < 0.8) table.update.run(at, body, 1 + below(table.last));
  else if (share < 0.9) table.remove.run(1 + below(table.last));
  else {
    table.last++;
    table.replace.run(table.last, `code ${1 + below(table.last)}`, account, at, body);
  }
});
