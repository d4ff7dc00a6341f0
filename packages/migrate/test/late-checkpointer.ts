import Database from "better-sqlite3";

/**
 * A product at work, in a process of its own: from the first message on it commits every millisecond, and checkpoints its WAL
 * only after a while.
 */
const db = new Database(process.argv[2] ?? "");
db.pragma("synchronous = OFF");
db.pragma("wal_autocheckpoint = 0");
const commit = db.prepare("INSERT INTO t(v) VALUES (randomblob(10))");
const COMMITS_BEFORE = 30;
process.once("message", () => {
  let commits = 0;
  setInterval(() => {
    if (commits++ === COMMITS_BEFORE) db.pragma("wal_checkpoint(PASSIVE)");
    commit.run();
  }, 1);
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
