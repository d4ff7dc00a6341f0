import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rowidRanges } from "../src/row-range.ts";

let db: Database.Database;
beforeEach(() => {
  db = new Database(":memory:");
  db.defaultSafeIntegers(true);
  db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
});
afterEach(() => db.close());

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

function add(...ids: bigint[]): void {
  for (const id of ids) db.prepare("INSERT INTO t(id) VALUES (?)").run(id);
}

describe("ranges of rowids", () => {
  it.each([1, 2, 3, 7])("hold each row once, and at most %i of them", (rows) => {
    const ids = [LEAST, -5n, -1n, 0n, 1n, 2n, 1000n, MOST - 1n, MOST];
    add(...ids);
    const held = [...rowidRanges(db, "t", "id", rows)].map(([from, to]) =>
      db
        .prepare<[bigint, bigint], bigint>("SELECT id FROM t WHERE id BETWEEN ? AND ?")
        .pluck()
        .all(from, to),
    );
    expect(held.flat()).toEqual(ids);
    expect(Math.max(...held.map(({ length }) => length))).toBe(rows);
  });

  it("are none of an empty table", () => {
    expect([...rowidRanges(db, "t", "id", 10)]).toEqual([]);
  });

  it("end where the table ended when they began, however fast it grows", () => {
    add(1n, 2n, 3n);
    let next = 4n;
    const walked: [bigint, bigint][] = [];
    for (const range of rowidRanges(db, "t", "id", 2)) {
      walked.push(range);
      for (let more = 0; more < 3; more++) add(next++);
    }
    expect(walked).toEqual([
      [1n, 2n],
      [3n, 3n],
    ]);
  });

  it("go on where rows ahead are removed meanwhile", () => {
    add(1n, 2n, 3n, 4n, 5n, 6n);
    const ranges = rowidRanges(db, "t", "id", 2);
    expect(ranges.next().value).toEqual([1n, 2n]);
    db.exec("DELETE FROM t WHERE id > 3");
    expect([...ranges]).toEqual([[3n, 6n]]);
  });
});
