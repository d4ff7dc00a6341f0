import { describe, expect, it, onTestFinished } from "vitest";
import { liveCopyForm, liveRows } from "../src/load/live-rows.ts";
import { defineFunctions } from "../src/sqlite/define-functions.ts";
import { plannedCase } from "./captured-case.ts";

const ROWS = 9_000;

describe.each([
  ["by rowid", "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"],
  ["by key", "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT) WITHOUT ROWID"],
])("a live table %s", (_, create) => {
  it("is read in short reads, each of which begins in the product's good time", async () => {
    const one = await plannedCase(
      `${create}; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) INSERT INTO t SELECT i, 'row' FROM n`,
    );
    onTestFinished(() => one.end());
    defineFunctions(one.db);
    const [table] = one.plan.tables;
    if (!table) throw new Error("there is no plan for t");
    const read: number[] = [];
    let rows = 0;
    let chunks = 0;
    const window = {
      await() {
        expect(one.db.inTransaction).toBe(false);
        read.push(rows);
      },
    };
    for (const chunk of liveRows(one.db, table, liveCopyForm(table), window)) {
      rows += chunk.toString().split("\n").length - 1;
      chunks++;
    }
    expect(rows).toBe(ROWS);
    // A buffer for each row would take ten times its memory.
    expect(chunks).toBe(3);
    expect(read.slice(0, 3)).toEqual([0, 4_000, 8_000]);
  });
});

it("a live table by keys that are no UTF-8 is walked to its end, and each row read once", async () => {
  const one = await plannedCase(
    `CREATE TABLE t(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
     INSERT INTO t SELECT CAST(unhex(printf('%02x', 127 + i)) AS TEXT), zeroblob(100000) FROM n`,
  );
  onTestFinished(() => one.end());
  defineFunctions(one.db);
  const [table] = one.plan.tables;
  if (!table) throw new Error("there is no plan for t");
  const columns = table.columns.map((column) =>
    column.source === "k" ? { ...column, type: "bytea", codec: "text-bytes" } : column,
  );
  const chosen = { ...table, columns };
  const keys: string[] = [];
  /** Two columns, each behind its length, and how many columns there are: a key of one byte, and the value. */
  const rowBytes = 2 + 4 + 1 + 4 + 100_000;
  for (const chunk of liveRows(one.db, chosen, liveCopyForm(chosen))) {
    for (let at = 0; at < chunk.length; at += rowBytes)
      keys.push(chunk.subarray(at + 6, at + 7).toString("hex"));
    if (keys.length > 200) break;
  }
  expect(keys).toEqual(Array.from({ length: 120 }, (_, at) => (128 + at).toString(16)));
});
