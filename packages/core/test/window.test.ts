import {
  microsecondsOf,
  outsideEveryWindow,
  parseInstant,
  type RecoveryWindow,
} from "@lifeboat/core";
import { expect, test } from "vitest";
import { windowHolds } from "../src/window.ts";

test("an instant is read with a zone, in every usual spelling of one", () => {
  for (const [text, utc] of [
    ["2026-11-22T10:15:00.123Z", "2026-11-22T10:15:00.123Z"],
    ["2026-11-22 10:15:00Z", "2026-11-22T10:15:00.000Z"],
    ["2026-11-22T10:15Z", "2026-11-22T10:15:00.000Z"],
    ["2026-11-22T10:15:00+01:00", "2026-11-22T09:15:00.000Z"],
    ["2026-11-22 10:15:00.5 +0530", "2026-11-22T04:45:00.500Z"],
    ["2026-11-22T10:15:00-08", "2026-11-22T18:15:00.000Z"],
    ["2026-11-22T23:30:00-02:00", "2026-11-23T01:30:00.000Z"],
    ["2026-11-22 10:15:00.123456+00", "2026-11-22T10:15:00.123Z"],
    ["2024-02-29T00:30:00+01:00", "2024-02-28T23:30:00.000Z"],
    // The minutes of its offset alone bring it over midnight.
    ["2026-11-22T00:15:00+00:30", "2026-11-21T23:45:00.000Z"],
    ["2026-11-22T10:15:00,123z", "2026-11-22T10:15:00.123Z"],
  ] as const)
    expect(parseInstant(text).toISOString(), text).toBe(utc);
});

test("what a commit's instant has behind its millisecond is read too, and what is finer cut off", () => {
  for (const [text, micros] of [
    ["2026-11-22 10:15:00.123456+00", 456],
    ["2026-11-22 10:15:00.1234+00", 400],
    ["2026-11-22T10:15:00,123056789Z", 56],
    ["2026-11-22T10:15:00.123Z", 0],
    ["2026-11-22T10:15:00+05:30", 0],
  ] as const)
    expect(microsecondsOf(text), text).toBe(micros);
});

test("an instant without a zone, or that is none, is refused as wrong usage", () => {
  for (const text of [
    "2026-11-22T10:15:00",
    "2026-11-22",
    "yesterday",
    "",
    "1700000000",
    "2026-02-30T10:00:00Z",
    "2026-13-01T10:00:00Z",
    "2026-11-22T25:00:00Z",
    "2026-11-22T10:15:00 Europe/Berlin",
    "2026-11-22T10:15:00Zz",
  ])
    expect(() => parseInstant(text), text).toThrow(
      expect.objectContaining({ code: "TIME_INVALID", kind: "usage" }),
    );
});

const span = (from: string, to: string): RecoveryWindow => ({
  ...({ engine: "sqlite", database: "app", timeline: null } as const),
  ...{ from: `2026-11-22T${from}:00.000Z`, to: `2026-11-22T${to}:00.000Z` },
});

test("a window holds its first and its last instant, and none beside them", () => {
  const window = span("10:00", "11:00");
  const holds = (text: string) => windowHolds(window, new Date(`2026-11-22T${text}Z`));
  expect(["10:00:00.000", "11:00:00.000"].map(holds)).toEqual([true, true]);
  expect(["09:59:59.999", "11:00:00.001"].map(holds)).toEqual([false, false]);
});

test("the windows nearest to an instant are those with an end near it, and of three all are shown", () => {
  const windows = [span("01:00", "09:00"), span("11:00", "11:00"), span("12:00", "12:00")];
  const told = (more: typeof windows) =>
    outsideEveryWindow(new Date("2026-11-22T09:10:00.000Z"), [...windows, ...more]).remedy;
  expect(told([])).not.toContain("nearest");
  // The long one ends ten minutes before.
  expect(told([span("13:00", "13:00")])).toContain(
    "2026-11-22T01:00:00.000Z … 2026-11-22T09:00:00.000Z, 2026-11-22T11:00:00.000Z, 2026-11-22T12:00:00.000Z (the nearest ones)",
  );
});

test("the refusal of an instant says what there is, and claims nothing between two windows", () => {
  const told = (...windows: RecoveryWindow[]) =>
    outsideEveryWindow(new Date("2026-11-22T09:10:00.000Z"), windows);
  expect(told(span("09:00", "09:00")).message).toMatch(
    /\(there is 2026-11-22T09:00:00.000Z alone\)$/,
  );
  expect(told(span("08:00", "09:00")).message).toMatch(
    /\(it reaches from \S+08:\S+ to \S+09:\S+\)$/,
  );
  expect(told(span("10:00", "11:00"), span("08:00", "09:00")).message).toMatch(
    /\(the oldest begins at \S+08:\S+, the newest ends at \S+11:\S+\)$/,
  );
  expect(told().message).toMatch(/no recovery window$/);
  // There may be backups, of another timeline or without their log.
  expect(told().remedy).not.toContain("no backup yet");
});

test("an instant outside of hundreds of windows is refused with the nearest ones alone", () => {
  const windows = Array.from({ length: 300 }, (_, minute) => {
    const instant = new Date(Date.UTC(2026, 10, 22, 0, minute)).toISOString();
    return {
      engine: "sqlite",
      database: "app",
      timeline: null,
      from: instant,
      to: instant,
    } as const;
  });
  const { message, remedy } = outsideEveryWindow(new Date("2026-11-22T02:00:10.000Z"), windows);
  expect(message).toContain(
    `(the oldest begins at ${windows[0]?.from}, the newest ends at ${windows.at(-1)?.to})`,
  );
  expect(remedy).toContain(
    "2026-11-22T01:59:00.000Z, 2026-11-22T02:00:00.000Z, 2026-11-22T02:01:00.000Z (the nearest ones)",
  );
});
