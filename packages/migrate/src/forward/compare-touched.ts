import { LifeboatError } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import type { TouchedRows } from "./touched-rows.ts";

/**
 * Reads the touched rows back and compares them with what the same snapshot of SQLite holds: by count and by sums of
 * their digests, which no order changes. Both sides' tables of keys must hold theirs.
 * @throws LifeboatError `NOT_APPLIED`: Postgres made something else of a value than SQLite holds
 */
export async function assertSumsEqual(
  db: Database,
  client: Client,
  touched: TouchedRows,
): Promise<void> {
  const here = sumsOf(db.prepare<[], string>(touched.digests).pluck().iterate());
  const { rows } = await client.query<{ rows: string; low: string; high: string }>(touched.sums);
  const there = rows[0];
  if (there && here.rows === there.rows && here.low === there.low && here.high === there.high)
    return;
  throw new LifeboatError({
    code: "NOT_APPLIED",
    message: `rows of ${touched.table.name} that were written since the load are not in Postgres as SQLite holds them`,
    remedy:
      "nothing was kept of them; a value came that the column's type or codec does not hold: run lifeboat migrate abort, then plan and load anew",
    details: { table: touched.table.name, rows: here.rows, rowsInPostgres: there?.rows },
  });
}

/** The halves of an MD5 that Postgres can add up as integers: 60 bits each. */
function sumsOf(digests: Iterable<string>): { rows: string; low: string; high: string } {
  let rows = 0;
  let low = 0n;
  let high = 0n;
  for (const digest of digests) {
    rows++;
    low += BigInt(`0x${digest.slice(0, 15)}`);
    high += BigInt(`0x${digest.slice(15, 30)}`);
  }
  return { rows: String(rows), low: String(low), high: String(high) };
}
