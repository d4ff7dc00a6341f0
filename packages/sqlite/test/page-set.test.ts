import { expect, test } from "vitest";
import { PageSet } from "../src/compact/page-set.ts";

test("pages are in it once they were added, wherever they lie", () => {
  const set = new PageSet();
  const pages = [1, 7, 8, 524_287, 524_288, 524_289, 2 ** 31, 2 ** 32 - 2];
  for (const page of [...pages, ...pages]) set.add(page);
  expect(set.size).toBe(pages.length);
  for (const page of pages) expect(set.has(page)).toBe(true);
  for (const page of [0, 2, 9, 524_286, 524_290, 2 ** 31 + 1, 2 ** 32 - 1])
    expect(set.has(page)).toBe(false);
});

test("a page far away takes no memory for those before it", () => {
  const before = process.memoryUsage().arrayBuffers;
  new PageSet().add(2 ** 32 - 2);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
});
