import { createHash } from "node:crypto";
import type { Database } from "better-sqlite3";
import { LOG_TABLE } from "../sqlite/own-objects.ts";

/** The last entry of the log; null where it is empty. */
export function logEnd(db: Database): bigint | null {
  const last = db.prepare<[], bigint | null>(`SELECT max(seq) FROM ${LOG_TABLE}`).pluck();
  return last.safeIntegers().get() ?? null;
}

/** The first entry of the log; null where it is empty. */
export function logBegin(db: Database): bigint | null {
  const first = db.prepare<[], bigint | null>(`SELECT min(seq) FROM ${LOG_TABLE}`).pluck();
  return first.safeIntegers().get() ?? null;
}

/** Whether the log holds all that came after a watermark: numbers follow one on another and go from below, so a hole means that some went. */
export function reachesBackTo(db: Database, watermark: bigint): boolean {
  const first = logBegin(db);
  return first === null || first <= watermark + 1n;
}

/** Entries that wait after a watermark. */
export function waitingChanges(db: Database, after: bigint): number {
  return Number(
    db
      .prepare<[bigint], bigint | number>(`SELECT count(*) FROM ${LOG_TABLE} WHERE seq > ?`)
      .pluck()
      .get(after) ?? 0,
  );
}

/** Forgets what was applied, but for the last entry: without one SQLite would count from 1 again, below the watermark. */
export function forgetChanges(db: Database, through: bigint): void {
  db.prepare(
    `DELETE FROM ${LOG_TABLE} WHERE seq <= ? AND seq < (SELECT max(seq) FROM ${LOG_TABLE})`,
  ).run(through);
}

/** One entry of the log, told by its digest: an older copy of the file has another one under that number. */
export interface LogEntry {
  readonly seq: string;
  readonly digest: string;
}

/** The entry of a number, as long as the log has it. */
export function entryAt(db: Database, seq: bigint): LogEntry | null {
  const row = db.prepare(`SELECT * FROM ${LOG_TABLE} WHERE seq = ?`).raw().safeIntegers().get(seq);
  if (row === undefined) return null;
  const parts = (row as (bigint | number | string | Buffer | null)[]).map((one) =>
    Buffer.isBuffer(one) ? `x${one.toString("hex")}` : `${typeof one} ${one}`,
  );
  return { seq: String(seq), digest: createHash("sha256").update(parts.join("\n")).digest("hex") };
}
