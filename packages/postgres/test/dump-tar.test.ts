import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { partsOf, tarOf } from "../src/logical/dump-tar.ts";
import { assertScratchHolds } from "../src/logical/scratch-space.ts";

const sized = (...sizes: number[]) =>
  sizes.map((bytes, index) => ({ name: String(index), path: "", bytes }));

test.each([
  [[], []],
  [[5], [[5]]],
  [
    [40, 40, 40],
    [[40, 40], [40]],
  ],
  [
    [10, 500, 10, 90],
    [[10], [500], [10, 90]],
  ],
  [[100, 0, 0], [[100, 0, 0]]],
])("parts of 100 of files of %j are %j", (sizes, parts) => {
  const found = partsOf(sized(...sizes), 100);
  expect(found.map((part) => part.map(({ bytes }) => bytes))).toEqual(parts);
});

test("a file that changes its size while it is packed ends the archive", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "lifeboat-test-tar-"));
  const path = join(folder.path, "file");
  await writeFile(path, "short");
  const reading = Array.fromAsync(tarOf([{ name: "file", path, bytes: 10 }]));
  await expect(reading).rejects.toThrow();
});

test("a file that is gone ends the archive", async () => {
  const reading = Array.fromAsync(tarOf([{ name: "file", path: "/nowhere/file", bytes: 10 }]));
  await expect(reading).rejects.toThrow("ENOENT");
});

test("what the scratch folder's disk cannot hold is not begun", async () => {
  await assertScratchHolds(tmpdir(), 0);
  await expect(assertScratchHolds(tmpdir(), Number.MAX_SAFE_INTEGER)).rejects.toMatchObject({
    code: "SCRATCH_FULL",
    kind: "refused",
    message: expect.stringContaining(tmpdir()),
  });
});
