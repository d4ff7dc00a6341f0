import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { PackedBytes } from "../src/packed/bytes.ts";

const MIB = 1 << 20;

test.each([
  ["nothing", 0, 1],
  ["one byte", 1, 1],
  ["less than a piece", MIB - 1, 70_001],
  ["a piece to the byte", MIB, MIB],
  ["one byte more than a piece", MIB + 1, 4096],
  ["several pieces in one chunk", 3 * MIB + 17, 4 * MIB],
])("%s comes back as it was given", (_, bytes, chunk) => {
  const given = randomBytes(bytes);
  const packed = new PackedBytes();
  for (let at = 0; at < bytes; at += chunk) packed.add(given.subarray(at, at + chunk));
  expect(packed.bytes).toBe(bytes);
  expect(packed.whole().equals(given)).toBe(true);
  // Twice, since a manifest is proved, stored and handed to a server.
  expect(packed.whole().equals(given)).toBe(true);
});

test("what a caller does with a chunk afterwards changes nothing", () => {
  const chunk = Buffer.from("as it was");
  const packed = PackedBytes.of(chunk);
  chunk.fill(0);
  expect(packed.whole().toString()).toBe("as it was");
});

test("more can be added after a look at what is there", () => {
  const packed = PackedBytes.of(Buffer.alloc(MIB - 1, "a"));
  expect(packed.whole().length).toBe(MIB - 1);
  packed.add(Buffer.from("bcd"));
  expect(packed.whole().subarray(-4).toString()).toBe("abcd");
});

test("what passes piece by piece is the same, and gives its memory back at once", () => {
  const packed = PackedBytes.of(Buffer.alloc(2 * MIB, "a"), Buffer.from("end"));
  const passed: Buffer[] = [];
  let text = "";
  for (const piece of packed.passing()) {
    expect(passed.every(({ length }) => length === 0)).toBe(true);
    text += piece.toString();
    passed.push(piece);
  }
  expect(text).toBe(packed.whole().toString());
  expect([...packed.passing()].at(-1)?.toString()).toBe("end");
});
