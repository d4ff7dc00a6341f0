import { expect, it } from "vitest";
import { readChoices } from "../src/choices.ts";

it("takes answers as a configuration spells them", () => {
  const choices = {
    "t.a": { type: "bytea", codec: "text-bytes" },
    "t.b": { constraint: "skip" },
    t: { table: "skip" },
  };
  expect(readChoices(choices)).toEqual(choices);
  expect(readChoices(undefined)).toEqual({});
});

it.each([
  [[], "migrate.columns is not an object"],
  [{ "t.a": "text" }, 'migrate.columns["t.a"] is not an object'],
  [{ "t.a": { kind: "text" } }, 'migrate.columns["t.a"].kind is none of'],
  [{ "t.a": { codec: "rot13" } }, 'migrate.columns["t.a"].codec is none of'],
  [
    { "t.a": { constraint: "drop" } },
    'migrate.columns["t.a"].constraint is none of skip, not-valid',
  ],
  [{ "t.a": { type: 5 } }, 'migrate.columns["t.a"].type is not a string'],
])("refuses %o and names its place", (value, message) => {
  expect(() => readChoices(value)).toThrow(message);
});
