import Database from "better-sqlite3";

/**
 * A product that commits at a steady pace, in a process of its own: one row into the ledger, one document changed, one
 * counter. Started by `fork` with the file, the commits a second and `synchronous`. Answers `report` with what it did
 * since the last one.
 */
export interface WriterReport {
  readonly seconds: number;
  readonly commits: number;
  /** How long each commit took, in milliseconds. */
  readonly p99: number;
  readonly worst: number;
}

/** Behind by more than this, a product's users have gone: what was missed is not made up for. */
const GIVE_UP_MS = 100;

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

let took: number[] = [];
let since = performance.now();
let due = since;

function work(): void {
  const now = performance.now();
  if (now - due > GIVE_UP_MS) due = now - GIVE_UP_MS;
  while (due <= performance.now()) {
    const started = performance.now();
    if (!committed()) return;
    took.push(performance.now() - started);
    due += 1000 / Number(rate);
    // Messages are heard between two commits.
    if (performance.now() - now > GIVE_UP_MS) break;
  }
  setTimeout(work, 0);
}

/** False once writes are refused: the product has been migrated. */
function committed(): boolean {
  try {
    commit.immediate();
    return true;
  } catch (thrown) {
    if ((thrown as { code?: string }).code === "SQLITE_CONSTRAINT_TRIGGER") return false;
    throw thrown;
  }
}

process.on("message", () => {
  const sorted = took.toSorted((a, b) => a - b);
  const report: WriterReport = {
    seconds: (performance.now() - since) / 1000,
    commits: sorted.length,
    p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0,
    worst: sorted.at(-1) ?? 0,
  };
  took = [];
  since = performance.now();
  process.send?.(report);
});
process.on("disconnect", () => process.exit());
work();
process.send?.("ready");
