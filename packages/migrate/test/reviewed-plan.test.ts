import { describe, expect, it } from "vitest";
import { assertPlanIsWanted, readReviewedPlan, sealPlan } from "../src/reviewed-plan.ts";
import { plannedCase } from "./captured-case.ts";

const CHOICES = { "t.2": { type: "text" }, "t.1": { type: "text" }, 7: { table: "skip" } } as const;

async function planFile(): Promise<string> {
  const one = await plannedCase(
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a REAL); INSERT INTO t VALUES (1, 0.1)",
  );
  one.end();
  return `${JSON.stringify(sealPlan(one.plan, CHOICES), null, 2)}\n`;
}

describe("a plan in a file", () => {
  it("is read as it was written, whatever its choices are called", async () => {
    const plan = readReviewedPlan(await planFile(), "plan.json");
    expect(plan.tables[0]?.columns.map(({ target }) => target)).toEqual(["id", "a"]);
    expect(plan.choices).toEqual(CHOICES);
  });

  it.each([
    ["DDL", (text: string) => text.replace("double precision", "real")],
    ["a finding", (text: string) => text.replace('"findings": []', '"findings": [{}]')],
    ["a choice", (text: string) => text.replace('"t.1"', '"t.3"')],
  ])("is refused once its %s was changed", async (_, change) => {
    const text = await planFile();
    expect(change(text)).not.toBe(text);
    expect(() => readReviewedPlan(change(text), "plan.json")).toThrow(
      expect.objectContaining({ code: "PLAN_CHANGED", kind: "usage" }),
    );
  });

  it.each([
    ["nothing", ""],
    ["half of one", '{"format": 1, "phase": "plan", "tab'],
    ["another document", '{"format": 1, "phase": "load"}'],
    ["a number", "7"],
    ["null", "null"],
    [
      "a plan of an earlier version, without a digest",
      '{"format": 1, "phase": "plan", "tables": []}',
    ],
  ])("is refused where the file holds %s", (_, text) => {
    expect(() => readReviewedPlan(text, "plan.json")).toThrow(
      expect.objectContaining({ code: "PLAN_UNREADABLE", kind: "usage" }),
    );
  });

  it("is refused for another schema or other choices than it was made for", async () => {
    const plan = readReviewedPlan(await planFile(), "plan.json");
    const same = { schema: "public", choices: structuredClone(CHOICES) };
    expect(() => assertPlanIsWanted(plan, same)).not.toThrow();
    for (const other of [
      { ...same, schema: "shop" },
      { ...same, choices: {} },
    ])
      expect(() => assertPlanIsWanted(plan, other)).toThrow(
        expect.objectContaining({ code: "PLAN_OUTDATED" }),
      );
  });
});
