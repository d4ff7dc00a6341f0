import { expect, it } from "vitest";
import { assertGates, lagGate, lookAtGates, verifiedGate } from "../src/cutover/gates.ts";

const NOW = new Date("2026-11-22T12:00:00.000Z");

it("lag is met by as many changes as a product can wait for", () => {
  expect([lagGate(0).ok, lagGate(2_000).ok, lagGate(2_001).ok]).toEqual([true, true, false]);
  expect(lagGate(17).message).toBe("Postgres came within 17 changes of SQLite");
});

it("verified is met by a verification of the last day", () => {
  const at = (iso: string | null) => verifiedGate(iso, NOW);
  expect(at(null)).toMatchObject({ ok: false, message: "both sides were not found equal yet" });
  expect(at("2026-11-21T12:00:00.000Z").ok).toBe(true);
  expect(at("2026-11-21T11:59:00.000Z")).toMatchObject({
    ok: false,
    remedy: "that is more than 24 hours ago: run lifeboat migrate verify",
  });
});

it("each gate is told, in one order, also where an earlier one is not met; only the named ones are passed over", async () => {
  const told: (string | undefined)[] = [];
  const look = (ok: boolean) => async () => ({ ok, message: `is ${ok}`, remedy: "mend it" });
  const gates = await lookAtGates(
    { disk: look(true), lag: look(false), drill: look(false), archive: look(true) },
    {
      skip: ["drill", "disk"],
      report: ({ note }) => told.push(note),
      signal: new AbortController().signal,
    },
  );
  expect(told).toEqual([
    "lag: is false",
    "archive: is true",
    "drill: is false (passed over)",
    "disk: is true",
  ]);
  expect(() => assertGates(gates)).toThrow(
    expect.objectContaining({
      code: "GATE_NOT_MET",
      kind: "refused",
      message: "gate lag: is false",
      remedy: "lag: mend it. Whoever decides may pass by --skip NAME",
      details: { gates },
    }),
  );
  assertGates(gates.filter(({ name }) => name !== "lag"));
});
