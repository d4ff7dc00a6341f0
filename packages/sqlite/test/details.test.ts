import type { Manifest } from "@lifeboat/core";
import { expect, test } from "vitest";
import { detailsOf, type SnapshotDetails } from "../src/details.ts";

const GOOD: SnapshotDetails = {
  fileName: "app.db",
  mode: "0640",
  owner: { uid: 1000, gid: 1000, user: "app", group: null },
  pageSize: 4096,
  pageCount: 10,
  journalMode: "wal",
  applicationId: -1,
  userVersion: 3,
  sqliteVersion: "3.54.1",
  way: "pin",
  heldMilliseconds: 1.5,
  copySeconds: 0.25,
  walBytes: 0,
};

const PLACE = { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 2 ** 32 - 1 };
const LINEAGE = "20261122T101500.123Z-1f2e3d4c";
const LOG = { lineage: LINEAGE, place: PLACE, segments: 3 };

function manifestWith(details: Readonly<Record<string, unknown>>): Manifest {
  return { id: "20261122T101500.123Z-full", details } as unknown as Manifest;
}

test("details come back as they were written", () => {
  expect(detailsOf(manifestWith({ ...GOOD }))).toEqual(GOOD);
  const log = { ...LOG, segments: 0, previous: { lineage: LINEAGE, segments: 7 } };
  expect(detailsOf(manifestWith({ ...GOOD, log }))).toEqual({ ...GOOD, log });
});

test.each([
  ["fileName", "../app.db"],
  ["fileName", "/etc/passwd"],
  ["fileName", ".."],
  ["fileName", ""],
  ["fileName", "a\0b"],
  ["fileName", "x".repeat(256)],
  ["fileName", "app.db "],
  ["fileName", 7],
  ["mode", "4755"],
  ["mode", "640"],
  ["owner", null],
  ["owner", { uid: -1, gid: 0, user: null, group: null }],
  ["owner", { uid: 0, gid: 0, user: 5, group: null }],
  ["owner", { uid: 0, gid: 0, user: "app; reboot", group: null }],
  ["pageSize", 4096.5],
  ["pageCount", "10"],
  ["copySeconds", Number.NaN],
  ["walBytes", undefined],
  ["log", { ...LOG, lineage: "../20261122T101500.123Z-1f2e3d4c" }],
  ["log", { ...LOG, place: null }],
  ["log", { ...LOG, place: { ...PLACE, salt1: 2 ** 32 } }],
  ["log", { ...LOG, place: { ...PLACE, frames: 1.5 } }],
  ["log", { ...LOG, place: { ...PLACE, checksum1: -1 } }],
  ["log", { ...LOG, place: { ...PLACE, checksum2: "7" } }],
  ["log", { ...LOG, segments: -1 }],
  ["log", { ...LOG, previous: null }],
  ["log", { ...LOG, previous: { lineage: "older", segments: 1 } }],
  ["log", { ...LOG, previous: { lineage: LINEAGE, segments: 0.5 } }],
])("a hostile or broken %s is refused: %j", (member, value) => {
  expect(() => detailsOf(manifestWith({ ...GOOD, [member]: value }))).toThrow(
    expect.objectContaining({
      code: "MANIFEST_CORRUPT",
      message: expect.stringContaining(`details.${member}`),
    }),
  );
});
