import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { bucketsInSqlite, rowsIn } from "../src/compare/digest-buckets.ts";
import type { PlannedColumn, PlannedTable } from "../src/plan.ts";

it("digests each row of a table without a key once, before it takes its place in the order: sorted as they are, rows of many MB would all be held", () => {
  const db = new Database(":memory:");
  db.defaultSafeIntegers(true);
  const digested: number[] = [];
  db.function("lifeboat_md5", { deterministic: true }, (row: Buffer) => {
    digested.push(row.length);
    return `${digested.length % 2}${"0".repeat(31)}`;
  });
  db.exec("CREATE TABLE bag(body TEXT); INSERT INTO bag VALUES ('a'), ('a'), ('bcd')");
  const body = { source: "body", target: "body", codec: "text" } as PlannedColumn;
  const table = { name: "bag", rowid: "rowid", columns: [body] } as unknown as PlannedTable;
  const buckets = bucketsInSqlite({ db, table } as never);
  expect([...buckets.keys()]).toEqual(["000", "100"]);
  expect(rowsIn(buckets)).toBe(3);
  expect(digested).toHaveLength(3);
  db.close();
});
