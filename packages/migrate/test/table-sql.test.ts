import { expect, it } from "vitest";
import { parseIndexSql } from "../src/sqlite/index-sql.ts";
import { parseTableSql } from "../src/sqlite/table-sql.ts";

it("reads from CREATE TABLE what no PRAGMA tells, past comments, quotes and defaults that look like keywords", () => {
  const found = parseTableSql(`CREATE TABLE "odd (one" ( -- a comment, with ( in it
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    a TEXT COLLATE nocase DEFAULT 'CHECK (1)' CHECK (length(a) > 0 AND a <> ')'),
    b INT DEFAULT (1 + (2)) CONSTRAINT positive CHECK (b > 0) ON CONFLICT IGNORE,
    [c d] AS (a || ',' || b) STORED, e GENERATED ALWAYS AS (b * 2) VIRTUAL,
    f INT REFERENCES t(x) NOT DEFERRABLE INITIALLY DEFERRED /* immediate */,
    g INT REFERENCES t DEFERRABLE INITIALLY DEFERRED,
    h INT REFERENCES t ON DELETE SET DEFAULT CHECK (h > 1) REFERENCES u DEFERRABLE INITIALLY DEFERRED,
    i TEXT REFERENCES t ON UPDATE SET DEFAULT COLLATE nocase, j SET DEFAULT check_,
    CONSTRAINT "two words" CHECK (a IN ('x', 'y')) FOREIGN KEY (f, g) REFERENCES u(f, g), UNIQUE (a) ON CONFLICT REPLACE
  )`);
  expect(found.checks).toEqual([
    { name: null, sql: "length(a) > 0 AND a <> ')'" },
    { name: "positive", sql: "b > 0" },
    { name: null, sql: "h > 1" },
    { name: "two words", sql: "a IN ('x', 'y')" },
  ]);
  expect([...found.collations]).toEqual([
    ["a", "NOCASE"],
    ["i", "NOCASE"],
  ]);
  expect([...found.generated]).toEqual([
    ["c d", "a || ',' || b"],
    ["e", "b * 2"],
  ]);
  expect(found.deferred).toEqual([false, true, false, true, false, false]);
  expect(found.conflictClauses).toBe(2);
  expect(found.autoincrement).toBe(true);
});

it("reads the terms and the condition of CREATE INDEX", () => {
  expect(
    parseIndexSql(
      `CREATE UNIQUE INDEX "on" ON "t (" (lower(a) COLLATE NOCASE DESC, "b,c", (a + 1) ASC) WHERE a IS NOT NULL AND b = 'WHERE'`,
    ),
  ).toEqual({ terms: ["lower(a)", '"b,c"', "(a + 1)"], where: "a IS NOT NULL AND b = 'WHERE'" });
});
