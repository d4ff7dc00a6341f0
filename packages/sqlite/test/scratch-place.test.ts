import { stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeLedger, testFolder } from "../../../test/support/sqlite.ts";
import { examine } from "../src/examine/examine.ts";
import { roomAt } from "../src/examine/file-system.ts";
import { RawReader } from "../src/raw/raw-reader.ts";
import { scratchFor } from "../src/restore/scratch-place.ts";

/** A database that is found on a disk with so much room, with files of given sizes that take none of it (sparse). */
async function room(sizes: (freeBytes: number) => { file: number; wal?: number }) {
  const path = join(await testFolder(), "app.db");
  makeLedger(path);
  const reader = new RawReader();
  onTestFinished(() => reader.close());
  const examined = await examine(reader, path);
  const { freeBytes } = await roomAt(path);
  const { file, wal } = sizes(freeBytes);
  if (wal !== undefined) {
    await writeFile(`${path}-wal`, "");
    await truncate(`${path}-wal`, wal);
  }
  await truncate(path, file);
  const scratch = await scratchFor({ ...examined, stat: await stat(path) }, null);
  onTestFinished(async () => {
    await scratch?.remove();
  });
  return scratch;
}

test("a raw copy is made where it fits with a tenth to spare, and with what the WAL may add to it", async () => {
  expect(await room((free) => ({ file: Math.floor(free / 2) }))).toBeDefined();
  expect(
    await room((free) => ({ file: Math.floor(free / 4), wal: Math.floor(free / 4) })),
  ).toBeDefined();
});

test("where it would leave less than a tenth of its size to the app there is no room for it", async () => {
  expect(await room((free) => ({ file: Math.floor(free * 0.95) }))).toBeUndefined();
  expect(
    await room((free) => ({ file: Math.floor(free / 2), wal: Math.floor(free * 0.45) })),
  ).toBeUndefined();
});
