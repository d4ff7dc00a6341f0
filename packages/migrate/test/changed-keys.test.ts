import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { CHANGED_KEYS, ChangedKeys } from "../src/forward/changed-keys.ts";
import type { MigrationPlan } from "../src/plan.ts";

it("takes keys that SQLite calls equal, 1 and 1.0, for two: one of them went, and the other came", () => {
  const db = new Database(":memory:");
  db.defaultSafeIntegers(true);
  db.exec(
    "CREATE TABLE lifeboat_log(seq INTEGER PRIMARY KEY, tbl, k1); INSERT INTO lifeboat_log(tbl, k1) VALUES (0, 1), (0, 1.0), (0, 1), (1, 1), (0, 2)",
  );
  const tables = [
    { name: "t", key: ["k"] },
    { name: "u", key: ["k"] },
  ];
  const keys = new ChangedKeys(db, { tables } as unknown as MigrationPlan);
  expect(keys.read(0n, 4n)).toEqual(new Set([0, 1]));
  const read = db.prepare(`SELECT tbl, typeof(k1) FROM ${CHANGED_KEYS} ORDER BY 1, 2`).raw().all();
  expect(read).toEqual([
    [0n, "integer"],
    [0n, "real"],
    [1n, "integer"],
  ]);
  db.close();
});
