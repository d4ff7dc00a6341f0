import { expect, test } from "vitest";
import { FrameMemory } from "../src/watch/frame-memory.ts";

test.each([512, 4096, 65536])("a piece holds whole frames of pages of %i bytes", (pageSize) => {
  const { pieceBytes } = new FrameMemory(pageSize);
  expect(pieceBytes % (pageSize + 24)).toBe(0);
  expect(pieceBytes).toBeLessThanOrEqual(1 << 20);
  expect(pieceBytes).toBeGreaterThan(1 << 19);
});

test("what a segment gave back the next one gets, and beyond some seconds' worth it is freed", () => {
  const memory = new FrameMemory(4096);
  const pieces = Array.from({ length: 40 }, () => memory.obtain());
  for (const piece of pieces) memory.giveBack(piece);
  const kept = pieces.filter(({ length }) => length > 0);
  expect(kept.length).toBeLessThan(20);
  expect(new Set(kept.map(() => memory.obtain()))).toEqual(new Set(kept));
});
