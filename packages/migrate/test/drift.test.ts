import { expect, it } from "vitest";
import type { DeclaredTable } from "../src/declared.ts";
import { driftFindings, driftOf, sameSqliteType } from "../src/drift.ts";
import type { PlannedTable } from "../src/plan.ts";
import type { SqliteSchema } from "../src/sqlite/schema.ts";

const column = (name: string, type: string, notNull = false) => ({ name, type, notNull });

it("lists what only one side has, other types and other nullability, and nothing else", () => {
  const declared: DeclaredTable[] = [
    {
      name: "t",
      columns: [
        column("a", "integer", true),
        column("b", "varchar(20)"),
        column("c", "jsonb"),
        column("gone", "text"),
      ],
    },
    { name: "missing", columns: [] },
  ];
  const live: DeclaredTable[] = [
    {
      name: "t",
      columns: [
        column("a", "bigint"),
        column("b", "text"),
        column("c", "json"),
        column("new", "text"),
      ],
    },
    { name: "extra", columns: [] },
  ];
  expect(driftOf(declared, live).map((drift) => drift.summary)).toEqual([
    "t.a is declared NOT NULL and is nullable",
    "t.c is declared jsonb and is json",
    "t.gone is declared and not there",
    "t.new is there and not declared",
    "table missing is declared and not there",
    "table extra is there and not declared",
  ]);
});

it("compares SQLite's types by their affinity, and keys without their NOT NULL", () => {
  const declared = [
    { name: "t", columns: [{ ...column("a", "integer", true), primaryKey: true }] },
  ];
  const live = [{ name: "t", columns: [{ ...column("a", "UNSIGNED BIG INT"), primaryKey: true }] }];
  expect(driftOf(declared, live, sameSqliteType)).toEqual([]);
});

it("asks for no NOT NULL of a key on whichever side it is one, and names the column by its place", () => {
  const text = (name: string, notNull: boolean, primaryKey = false) => ({
    ...column(name, "text", notNull),
    primaryKey,
  });
  const declared = [
    { name: "t", columns: [text("a", true), text("b", false, true), text("c", true)] },
  ];
  const live = (name: string) => ({ name, declaredType: "CLOB", notNull: name === "b" });
  const schema = {
    tables: [{ name: "t", primaryKey: ["a"], columns: ["a", "b", "c"].map(live) }],
  } as unknown as SqliteSchema;
  const planned = (source: string) => ({
    source,
    target: source,
    type: "text",
    nullable: source !== "b",
  });
  const tables = [
    { name: "T", target: "t", key: ["a"], columns: ["a", "b", "c"].map(planned) },
  ] as unknown as PlannedTable[];
  expect(
    driftFindings({ sqlite: declared, postgres: declared }, schema, tables).map(
      ({ id, table, column: at, summary }) => `${id} ${table}.${at}: ${summary}`,
    ),
  ).toEqual([
    "drift-sqlite t.c: SQLite schema: t.c is declared NOT NULL and is nullable",
    "drift-postgres t.c: Postgres schema: t.c is declared NOT NULL and is nullable",
  ]);
});
