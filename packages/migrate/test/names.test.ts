import { expect, it } from "vitest";
import { columnName, fittingName, NameSpace } from "../src/map/names.ts";

it("keeps every name that Postgres can have, letter by letter", () => {
  for (const name of ["Order", "a.b", 'quo"te', "x".repeat(63), "oid"])
    expect(columnName(name, [name])).toBe(name);
});

it("shortens by bytes, never inside a letter, and never makes two names one", () => {
  const names = ["x".repeat(64), `${"x".repeat(64)}y`, "ü".repeat(40), ""].map(fittingName);
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
  expect(names[2]).toMatch(/^ü+_[0-9a-f]{8}$/);
});

it("gives way to the names of Postgres's own columns, and not to another column's", () => {
  expect(columnName("ctid", ["id", "ctid"])).toBe("ctid_");
  expect(columnName("ctid", ["ctid__", "ctid_", "ctid"])).toBe("ctid___");
});

it("gives each relation a name of its own", () => {
  const names = new NameSpace();
  expect([names.take("t_key"), names.take("t_key"), names.take("t_key")]).toEqual([
    "t_key",
    "t_key_2",
    "t_key_3",
  ]);
});
