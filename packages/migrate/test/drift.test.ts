import { expect, it } from "vitest";
import type { DeclaredTable } from "../src/declared.ts";
import { driftOf, sameSqliteType } from "../src/drift.ts";

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
