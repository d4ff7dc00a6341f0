import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { defineFunctions } from "../src/sqlite/define-functions.ts";

it("a function gives large values back once it has answered, before any garbage is collected", () => {
  const db = new Database(":memory:");
  defineFunctions(db);
  const asked = db.prepare(
    "SELECT lifeboat_md5(zeroblob(1000000)), lifeboat_is_utf8(zeroblob(1000000))",
  );
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 10; n++) asked.get();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4_000_000);
  db.close();
});
