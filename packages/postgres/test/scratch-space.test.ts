import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { assertScratchHolds } from "../src/logical/scratch-space.ts";

test("what the scratch folder's disk cannot hold is not begun", async () => {
  const { blocks, bsize } = await statfs(tmpdir());
  await expect(assertScratchHolds(tmpdir(), 2 * blocks * bsize)).rejects.toMatchObject({
    ...{ code: "SCRATCH_FULL", kind: "refused" },
    remedy: expect.stringContaining("TMPDIR"),
  });
  await assertScratchHolds(tmpdir(), 1);
});
