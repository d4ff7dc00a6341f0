import Database from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";
import { copyForm } from "../src/load/copy-expression.ts";
import type { PlannedTable } from "../src/plan.ts";
import { defineFunctions } from "../src/source.ts";

const TABLE = {
  name: "t",
  columns: [
    { source: "c", target: "c", type: "text", codec: "text", generated: null, escape: false },
  ],
} as unknown as PlannedTable;

it("escapes what COPY text takes for a sign, in short and in long texts that came since the profile", () => {
  const db = new Database(":memory:");
  onTestFinished(() => {
    db.close();
  });
  defineFunctions(db);
  db.exec("CREATE TABLE t(c TEXT)");
  const signs = ["\\", "\t", "\n", "\r", "\\N", "\\.", "[", "]", "*", "é", ""];
  const texts = signs.flatMap((sign) => [
    sign,
    `a${sign}`,
    `${sign}b`,
    `${"long ".repeat(20)}${sign}!`,
  ]);
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  for (const text of texts) insert.run(text);
  const { row } = copyForm(TABLE, { live: true });
  const rows = db.prepare(`SELECT ${row} FROM t ORDER BY rowid`).pluck().all();
  const escaped = (text: string) =>
    text
      .replaceAll("\\", "\\\\")
      .replaceAll("\n", "\\n")
      .replaceAll("\r", "\\r")
      .replaceAll("\t", "\\t");
  expect(rows).toEqual(texts.map((text) => `${escaped(text)}\n`));
});
