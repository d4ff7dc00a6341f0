import Database from "better-sqlite3";
import { keepPace } from "./keep-pace.ts";

/**
 * A product that commits at a steady pace, in a process of its own: one row into the ledger, one document changed, one
 * counter. Started by `fork` with the file, the commits a second and `synchronous`.
 */
const [path = "", rate = "", synchronous = ""] = process.argv.slice(2);
const database = new Database(path, { timeout: 10_000 });
database.pragma(`synchronous = ${synchronous}`);
const documents = database.prepare("SELECT max(id) FROM document").pluck().get() as number;
const commit = database.transaction(
  ((insert, update, count) => () => {
    insert.run(Date.now(), "a commit that was acknowledged");
    update.run(Date.now(), 1 + Math.floor(Math.random() * documents));
    count.run();
  })(
    database.prepare("INSERT INTO ledger(at, note) VALUES (?, ?)"),
    database.prepare("UPDATE document SET created_at = ? WHERE id = ?"),
    database.prepare("UPDATE counter SET n = n + 1"),
  ),
);
keepPace(Number(rate), () => commit.immediate());
