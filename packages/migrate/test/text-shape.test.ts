import Database from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";
import { harmlessTest } from "../src/text-shape.ts";

const open = () => {
  const db = new Database(":memory:");
  onTestFinished(() => {
    db.close();
  });
  db.exec("CREATE TABLE t(c TEXT)");
  return db;
};

it("asks nothing more of a short text of printable ASCII, and everything of any other", () => {
  const db = open();
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  const all = Array.from({ length: 256 }, (_, code) => `a${String.fromCharCode(code)}b`);
  for (const text of all) insert.run(text);
  const harmless = db
    .prepare(`SELECT c FROM t WHERE ${harmlessTest("c")}`)
    .pluck()
    .all();
  const printable = all.filter((text) => /^[ -~]+$/.test(text) && !text.includes("\\"));
  expect(new Set(harmless)).toEqual(new Set(printable));
});

it("does not take a text for harmless that is none behind a NUL", () => {
  const db = open();
  db.exec("INSERT INTO t VALUES ('a' || char(0) || char(9))");
  expect(
    db
      .prepare(`SELECT ${harmlessTest("c")} FROM t`)
      .pluck()
      .get(),
  ).toBe(0);
});
