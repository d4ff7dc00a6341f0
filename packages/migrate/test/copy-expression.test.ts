import Database from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";
import { codecNamed } from "../src/codec/registry.ts";
import { copyForm } from "../src/load/copy-expression.ts";
import type { PlannedTable } from "../src/plan.ts";
import { defineFunctions } from "../src/sqlite/define-functions.ts";

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

const column = (source: string, codec: string, type: string) =>
  ({ source, target: source, type, codec, generated: null, escape: true }) as const;

it("joins any number of columns, NULLs among them, and gives each its tab", () => {
  const db = new Database(":memory:");
  onTestFinished(() => {
    db.close();
  });
  defineFunctions(db);
  const names = Array.from({ length: 300 }, (_, at) => `c${at}`);
  db.exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, ${names.join(", ")})`);
  db.exec("INSERT INTO t(id, c0, c150, c299) VALUES (-7, 'first', 'middle', 'last')");
  const columns = [
    column("id", "integer", "bigint"),
    ...names.map((name) => column(name, "text", "text")),
  ];
  const table = { name: "t", rowid: "id", columns } as unknown as PlannedTable;
  const row = db
    .prepare(`SELECT ${copyForm(table).row} FROM t`)
    .pluck()
    .get();
  const fields = ["-7", ...names.map(() => "\\N")];
  for (const [at, value] of [
    [0, "first"],
    [150, "middle"],
    [299, "last"],
  ] as const)
    fields[at + 1] = value;
  expect(row).toBe(`${fields.join("\t")}\n`);
});

it("names the value of another class that came since the profile", () => {
  const db = new Database(":memory:");
  onTestFinished(() => {
    db.close();
  });
  defineFunctions(db);
  db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 1), (2, 1.5)");
  const table = {
    name: "t",
    rowid: "id",
    columns: [column("id", "integer", "bigint"), column("n", "integer", "bigint")],
  } as unknown as PlannedTable;
  const rows = db.prepare(`SELECT ${copyForm(table).row} FROM t`).pluck();
  expect(() => rows.all()).toThrow(/real.*t\.n|t\.n.*real/);
});

it("gives Postgres an integer that is no boolean, to be refused, in both forms", () => {
  const db = new Database(":memory:");
  onTestFinished(() => {
    db.close();
  });
  db.exec("CREATE TABLE t(b); INSERT INTO t VALUES (1), (0), (2)");
  const { input, binary } = codecNamed("boolean");
  expect(
    db
      .prepare(`SELECT ${input("b")} FROM t`)
      .pluck()
      .all(),
  ).toEqual(["t", "f", 2]);
  expect(
    db
      .prepare(`SELECT hex(${binary?.("b")}) FROM t`)
      .pluck()
      .all(),
  ).toEqual(["01", "00", ""]);
});
