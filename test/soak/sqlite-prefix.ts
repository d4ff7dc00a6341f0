import Database from "better-sqlite3";

/**
 * Every commit that was acknowledged before an instant less so much is in what is restored of it: one poll on a quiet machine, and
 * on a busy one what a process that is started anew, or is not let run, takes to look at the WAL.
 */
const LOOK_MS = 15_000;
/** Where the ledger has a longer gap, nobody was let run, the watch as little as the writer: no more of it counts. */
const GAP_MS = 1000;

/** The newest commit after which so much time went by until an instant that a look at the WAL must have found it. */
export function dueAt(ledger: readonly (readonly [seq: number, at: number])[], at: number): number {
  let passed = 0;
  let later = at;
  for (const [seq, acknowledged] of ledger.toReversed()) {
    if (acknowledged >= at) continue;
    passed += Math.min(later - acknowledged, GAP_MS);
    if (passed > LOOK_MS) return seq;
    later = acknowledged;
  }
  return 0;
}

/** How far a copy goes. @throws Error when it is no whole prefix, or the crowd's tables are not what they say that they are */
export function prefixOf(path: string): number {
  const database = new Database(path, { fileMustExist: true, readonly: true });
  try {
    const ask = (sql: string) => database.prepare(sql).pluck().get();
    const found = [
      ask("SELECT count(*) FROM ledger"),
      ask("SELECT max(seq) FROM ledger"),
      ask("SELECT v FROM counter"),
    ];
    const crowd = ask(
      "SELECT newest || '/' || held || ', ' || (SELECT max(id) || '/' || count(*) FROM crowd) FROM crowd_count",
    );
    const [said, there] = String(crowd).split(", ");
    if (said !== there) throw new Error(`of the crowd ${there} is there, and ${said} was`);
    const check = ask("PRAGMA integrity_check");
    if (check !== "ok" || new Set(found).size !== 1)
      throw new Error(`no prefix: rows, newest, counter ${found.join(", ")}; ${check}`);
    return found[0] as number;
  } finally {
    database.close();
  }
}
