import { describe, expect, test } from "vitest";
import { emptySegment } from "../../../test/support/empty-segment.ts";
import { formatLsn, parseLsn } from "../src/wal/lsn.ts";
import { segmentIdentity } from "../src/wal/segment-identity.ts";
import {
  parseWalFileName,
  segmentAt,
  segmentBefore,
  segmentName,
  segmentNumber,
  segmentStart,
  type WalFile,
} from "../src/wal/segment-name.ts";
import { parseTimelineHistory } from "../src/wal/timeline-history.ts";

const MIB = 1 << 20;

describe("positions", () => {
  test.each(["0/0", "0/2000028", "16/B374D848", "FFFFFFFF/FFFFFFFF"])(
    "%s is read and written back",
    (text) => {
      expect(formatLsn(parseLsn(text) as bigint)).toBe(text);
    },
  );

  test.each(["", "0", "0/", "/0", "0/123456789", "G/0", "0/0 "])("%j is no position", (text) => {
    expect(parseLsn(text)).toBeUndefined();
  });
});

describe("segment names", () => {
  // Asked of pg_walfile_name on servers initialised with these segment sizes.
  test.each([
    [16 * MIB, 1, "0/2000028", "000000010000000000000002"],
    [16 * MIB, 0x1a, "1/0", "0000001A0000000100000000"],
    [16 * MIB, 1, "0/FFFFFFFF", "0000000100000000000000FF"],
    [1 * MIB, 1, "0/FFFFFFFF", "000000010000000000000FFF"],
    [1024 * MIB, 2, "3/C0000000", "000000020000000300000003"],
  ])(
    "with segments of %i bytes, timeline %i and position %s lie in %s",
    (bytes, timeline, lsn, name) => {
      const number = segmentAt(parseLsn(lsn) as bigint, bytes);
      expect(segmentName(timeline, number, bytes)).toBe(name);
      const file = parseWalFileName(name);
      if (file?.kind !== "segment") throw new Error("not a segment");
      expect(segmentNumber(file, bytes)).toBe(number);
      expect(segmentStart(number, bytes) <= (parseLsn(lsn) as bigint)).toBe(true);
    },
  );

  test("a position on a boundary needs only the segment before", () => {
    expect(segmentBefore(0x2000000n, 16 * MIB)).toBe(1n);
    expect(segmentBefore(0x2000001n, 16 * MIB)).toBe(2n);
  });

  test("a name whose low part is too high for the segment size belongs to no segment", () => {
    const file = parseWalFileName("000000010000000000000100");
    if (file?.kind !== "segment") throw new Error("not a segment");
    expect(segmentNumber(file, 16 * MIB)).toBeUndefined();
    expect(segmentNumber(file, 1 * MIB)).toBe(256n);
  });

  test.each([
    ["000000010000000000000003", "segment"],
    ["000000010000000000000003.partial", "partial"],
    ["000000010000000000000003.00000028.backup", "backup-label"],
    ["00000002.history", "history"],
  ])("%s is a %s", (name, kind) => {
    expect(parseWalFileName(name)?.kind).toBe(kind);
  });

  test.each([
    "RECOVERYXLOG",
    "00000001000000000000000",
    "00000001000000000000000g",
    "000000010000000000000003.gz",
    "../00000001000000000000003",
    "00000002.history.bak",
    "000000010000000000000003.partial.backup",
  ])("%s is none of the server's names", (name) => {
    expect(parseWalFileName(name)).toBeUndefined();
  });
});

describe("a segment's first page", () => {
  const name = parseWalFileName("000000010000000000000003");
  const identity = (bytes: Buffer) =>
    segmentIdentity(bytes, name as Extract<WalFile, { high: number }>, "it");
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = emptySegment({ system: 7n, number: 3n });
    change(bytes);
    return bytes;
  };

  test("says whose it is", () => {
    expect(identity(changed(() => {}))).toMatchObject({ systemIdentifier: "7" });
  });

  // As the server's own XLogReaderValidatePageHeader has it.
  test.each([
    ["has a flag that no server sets", (bytes: Buffer) => bytes.writeUInt16LE(0x12, 2)],
    ["is of no version that there is", (bytes: Buffer) => bytes.writeUInt16LE(0xd200, 0)],
    ["is of a version before 15", (bytes: Buffer) => bytes.writeUInt16LE(0xd10f, 0)],
  ])("that %s begins none", (_, change) => {
    expect(() => identity(changed(change))).toThrow(
      expect.objectContaining({ code: "WAL_INVALID", message: expect.stringContaining("begin") }),
    );
  });

  test("of a timeline's first segment may be a copy of the one that it left, and never of a later one", () => {
    const on = (timeline: number, file: string) =>
      segmentIdentity(
        changed((bytes) => bytes.writeUInt32LE(timeline, 4)),
        parseWalFileName(file) as Extract<WalFile, { high: number }>,
        "it",
      );
    expect(on(1, "000000020000000000000003").systemIdentifier).toBe("7");
    expect(() => on(2, "000000010000000000000003")).toThrow(
      expect.objectContaining({ message: expect.stringContaining("timeline 2") }),
    );
  });

  test.each([
    ["segments of 3 MiB", 32, 3 * MIB],
    ["segments of 512 KiB", 32, MIB / 2],
    ["pages of 12 KiB", 36, 12 << 10],
    ["pages of 128 KiB", 36, 128 << 10],
  ])("that tells of %s is no server's", (_, at, size) => {
    expect(() => identity(changed((bytes) => bytes.writeUInt32LE(size, at)))).toThrow(
      expect.objectContaining({
        code: "WAL_INVALID",
        message: expect.stringContaining("no server's have"),
      }),
    );
  });

  test("that is cut short begins none, and is no defect of ours", () => {
    const bytes = changed(() => {});
    for (const length of [0, 39])
      expect(() => identity(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: "WAL_INVALID" }),
      );
  });
});

describe("timeline histories", () => {
  test("name each parent and where it was left", () => {
    const text =
      "1\t0/A000000\tno recovery target specified\n\n# note\n2\t0/C0000F8\tbefore 2026\n";
    expect(parseTimelineHistory(text, 3, "00000003.history")).toEqual([
      { timeline: 1, switchPoint: 0xa000000n },
      { timeline: 2, switchPoint: 0xc0000f8n },
    ]);
  });

  test.each(["", "hello", "2\t0/A000000\tloop", "1\t0\tshort", "1\t0/1\ta\n1\t0/2\tb"])(
    "%j is none of timeline 2",
    (text) => {
      expect(() => parseTimelineHistory(text, 2, "00000002.history")).toThrow(
        expect.objectContaining({ code: "WAL_INVALID" }),
      );
    },
  );
});
