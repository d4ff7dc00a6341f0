import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ReadBack } from "../src/read-back.ts";

const bytes = Buffer.alloc(3_000_000, "what was written");

let folder: string;
let handle: FileHandle;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-read-back-"));
  handle = await open(join(folder, "object"), "wx+");
  await handle.write(bytes);
});
afterEach(async () => {
  await handle.close();
  await rm(folder, { recursive: true });
});

test("a file that is read back in spans while it grows is confirmed as one", async () => {
  const readBack = new ReadBack(handle);
  await readBack.begin(1_100_000);
  await readBack.begin(2_000_001);
  await readBack.finish(bytes.length, crc32(bytes));
});

test.each([
  { where: "in the first span", at: 0 },
  { where: "in a later one", at: 1_500_000 },
  { where: "in what is read at the end", at: bytes.length - 1 },
])("a byte that the disk changed is found $where", async ({ at }) => {
  await handle.write(Buffer.from("!"), 0, 1, at);
  const readBack = new ReadBack(handle);
  await readBack.begin(1_100_000);
  await readBack.begin(2_000_001);
  await expect(readBack.finish(bytes.length, crc32(bytes))).rejects.toMatchObject({
    code: "STORAGE_CORRUPTS",
  });
});

test("bytes that the disk lost at the end are found", async () => {
  await handle.truncate(bytes.length - 1);
  const readBack = new ReadBack(handle);
  await expect(readBack.finish(bytes.length, crc32(bytes))).rejects.toMatchObject({
    code: "STORAGE_CORRUPTS",
  });
});

test("a span that cannot be made durable fails the whole, and nothing more is read", async () => {
  const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  handle.datasync = () => Promise.reject(full);
  const readBack = new ReadBack(handle);
  await readBack.begin(1_100_000);
  await expect(readBack.begin(2_000_001)).rejects.toBe(full);
  await expect(readBack.finish(bytes.length, crc32(bytes))).rejects.toBe(full);
  await readBack.idle();
});
