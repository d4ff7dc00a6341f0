import Database from "better-sqlite3";

/**
 * Another process at work on the same database, until its standard input ends. Says `ready` when it
 * does what it is for:
 *
 * - `read`: keeps one read transaction open
 * - `write`: keeps one write transaction open
 * - `idle`: has the database open and does nothing
 * - `exclusive`: has it open with locking_mode = EXCLUSIVE
 * - `spill`: writes more than its cache holds into a transaction that it never commits
 * - `checkpoint`: opens it, checkpoints with TRUNCATE, closes it, again and again
 */
const [path, behaviour] = process.argv.slice(2);
if (path === undefined) throw new Error("a database is needed");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
const opened: Database.Database[] = [];
const open = () => {
  const database = new Database(path, { fileMustExist: true, timeout: 10_000 });
  // Kept, since a connection that nothing refers to is closed by the garbage collector.
  opened.push(database);
  return database;
};

switch (behaviour) {
  case "read":
    open().exec("BEGIN; SELECT count(*) FROM ledger");
    break;
  case "write":
    open().exec("BEGIN IMMEDIATE; UPDATE counter SET v = v");
    break;
  case "idle":
    open().prepare("SELECT count(*) FROM counter").get();
    break;
  case "exclusive":
    open().exec(
      "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE counter SET v = v; COMMIT",
    );
    break;
  case "spill":
    open().exec(
      "PRAGMA cache_size = 5; BEGIN IMMEDIATE; UPDATE ledger SET payload = randomblob(4000); UPDATE counter SET v = -1",
    );
    break;
  case "checkpoint":
    checkpointForEver();
    break;
  default:
    throw new Error(`unknown behaviour ${behaviour}`);
}
process.stdout.write("ready\n");

function checkpointForEver(): void {
  const database = open();
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.close();
  opened.pop();
  setTimeout(checkpointForEver, 1);
}
