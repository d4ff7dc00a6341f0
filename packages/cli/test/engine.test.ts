import { postgresEngine } from "@lifeboat/postgres";
import { sqliteEngine } from "@lifeboat/sqlite";
import { expect, test } from "vitest";
import { engineOf } from "../src/config/engine.ts";

test.each([
  ["sqlite", sqliteEngine({ databases: [] })],
  ["postgres", postgresEngine({})],
] as const)("the engine of %s that verbs get is all of the engine", (kind, engine) => {
  // What is left out here, nobody would miss: an optional part is then never asked.
  expect(Object.keys(engineOf(kind, undefined))).toEqual(
    expect.arrayContaining(Object.keys(engine)),
  );
});
