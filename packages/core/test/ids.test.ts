import { expect, it } from "vitest";
import { idAt, idOwning, isLaterThan } from "../src/ids.ts";

it("an id sorts by its instant, and one of the same millisecond is no later one", () => {
  const instant = new Date("2026-11-28T10:15:00.123Z");
  expect(idAt(instant)).toBe("20261128T101500.123Z");
  const later = (id: string) => isLaterThan(id, instant);
  expect(later("20261128T101500.124Z-full")).toBe(true);
  expect(later("20261128T101500.123Z-full")).toBe(false);
  expect(later("20261128T101500.122Z-incr")).toBe(false);
});

it("an object's id is that of its folder", () => {
  expect(idOwning("app/sqlite/app/backups/20261128T101500.123Z-full/manifest.json")).toBe(
    "20261128T101500.123Z-full",
  );
  expect(idOwning("RESTORE.md")).toBe("");
});
