import type { Status } from "@lifeboat/core";
import { describe, expect, test } from "vitest";
import { archiveGate, backupGate, diskGate, drillGate } from "../src/cutover-gates.ts";

const NOW = new Date("2026-11-22T12:00:00.000Z");
const DAY_MS = 86_400_000;

describe("the gate", () => {
  test.each([
    [null, false],
    [{ ok: true, lastSegment: "000000010000000000000007" }, true],
    [{ ok: false, lastSegment: "000000010000000000000007" }, false],
  ])("archive, where the archive is %o", (archive, ok) => {
    expect(archiveGate(archive as Status["archive"])).toMatchObject({ ok });
  });

  test.each([
    [null, false, "no backup was ever drilled"],
    [{ ok: true, days: 6.9 }, true, "the last drill passed 6 d 21 h ago"],
    [{ ok: true, days: 7.1 }, false, "the last drill passed 7 d 2 h ago"],
    [{ ok: false, days: 0.1 }, false, "the last drill FAILED 2 h 24 min ago"],
  ])("drill, after %o", (drill, ok, message) => {
    const startedAt = new Date(NOW.getTime() - (drill?.days ?? 0) * DAY_MS).toISOString();
    const last = drill && ({ ok: drill.ok, startedAt } as Status["lastDrill"]);
    expect(drillGate(last, NOW)).toMatchObject({ ok, message });
  });

  test("backup, with each thing that is in the way, and each remedy", () => {
    const one = { severity: "error", id: "x" } as const;
    expect(backupGate([])).toMatchObject({ ok: true, message: "both databases can be backed up" });
    const two = [
      { ...one, summary: "no right", remedy: "grant it" },
      { ...one, summary: "no room", remedy: "make room" },
    ];
    const others = [
      { ...one, id: "archive-failing", summary: "no archive", remedy: "mend it" },
      { ...one, id: "slot-lost", summary: "a lost slot", remedy: "drop it" },
      { ...one, severity: "warning", summary: "no checksums", remedy: "none" } as const,
    ];
    expect(backupGate(others)).toMatchObject({ ok: true });
    expect(backupGate([...two, ...others])).toEqual({
      ...{ ok: false, message: "no right; no room", remedy: "grant it; make room" },
    });
  });

  test.each([
    [2001, 1000, true],
    [2000, 1000, false],
    [null, 1000, true],
  ])("disk, with %s bytes left for a database of %i", (free, bytes, ok) => {
    expect(diskGate("the disk", free, bytes)).toMatchObject({ ok });
  });
});
