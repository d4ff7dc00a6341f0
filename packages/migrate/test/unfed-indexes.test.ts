import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { unfedIndexes } from "../src/reverse/unfed-indexes.ts";
import { readSchema } from "../src/sqlite/read-schema.ts";

it("what no trigger feeds is named with what brings it up to date, and what one feeds is not", () => {
  const db = new Database(":memory:");
  db.defaultSafeIntegers();
  db.exec(
    `CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT);
     CREATE VIRTUAL TABLE fed USING fts5(body, content='docs', content_rowid='id');
     CREATE TRIGGER lifeboat_feeds AFTER INSERT ON docs BEGIN INSERT INTO FED(rowid, body) VALUES (new.id, new.body); END;
     CREATE TRIGGER feeds_none AFTER DELETE ON docs BEGIN UPDATE docs SET body = 'INSERT INTO "my words"' WHERE id = 0; END;
     CREATE VIRTUAL TABLE "my words" USING fts5(body, Content = "docs", content_rowid='id');
     CREATE VIRTUAL TABLE own USING fts5(body);
     CREATE VIRTUAL TABLE bare USING fts5(body, content='');
     CREATE VIRTUAL TABLE spots USING rtree(id, x0, x1)`,
  );
  const found = unfedIndexes(readSchema(db));
  expect(
    Object.fromEntries(found.map((one) => [one.table, one.summary.split(": ").at(-1)])),
  ).toEqual({
    "my words": `INSERT INTO "my words"("my words") VALUES('rebuild')`,
    own: "let the product fill it again",
    bare: "let the product fill it again",
    spots: "let the product fill it again",
  });
  db.exec(
    `INSERT INTO docs VALUES (1, 'late'); INSERT INTO "my words"("my words") VALUES('rebuild')`,
  );
  expect(
    db.prepare(`SELECT count(*) FROM "my words" WHERE "my words" MATCH 'late'`).pluck().get(),
  ).toBe(1n);
});
