import { type FileHandle, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { FileBatch } from "../src/unpack/file-batch.ts";

test("small files are made beside one another, no more than a few at once, and all of them are closed when they are durable", async () => {
  const directory = await scratch();
  const batch = new FileBatch();
  let [underWay, most] = [0, 0];
  const made: FileHandle[] = [];
  for (let n = 0; n < 100; n++) {
    await batch.begin(async () => {
      most = Math.max(most, ++underWay);
      const file = await open(join(directory, `${n}`), "wx");
      await file.writeFile(`content of ${n}`);
      underWay--;
      made.push(file);
      return file;
    }, 10);
    await batch.flushIfFull();
  }
  await batch.sync();
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(8);
  expect(made.map(({ fd }) => fd)).toEqual(Array(100).fill(-1));
  expect(await readFile(join(directory, "99"), "utf8")).toBe("content of 99");
});

test("a file that could not be made fails its batch, and those beside it are closed", async () => {
  const directory = await scratch();
  const batch = new FileBatch();
  const beside = await open(join(directory, "beside"), "wx");
  await batch.begin(() => open(join(directory, "missing", "file"), "wx"), 10);
  batch.add(beside, 10);
  await expect(batch.sync()).rejects.toMatchObject({ code: "ENOENT" });
  expect(beside.fd).toBe(-1);
});

test("what fails while the next batch is filled is told when that one is full, or at the end", async () => {
  const directory = await scratch();
  const batch = new FileBatch();
  const large = 2 ** 30;
  await batch.begin(() => open(join(directory, "missing", "file"), "wx"), large);
  await batch.flushIfFull();
  const next = await open(join(directory, "next"), "wx");
  batch.add(next, large);
  await expect(batch.flushIfFull()).rejects.toMatchObject({ code: "ENOENT" });
  await batch.close();
  expect(next.fd).toBe(-1);
});

test("what fails while the last batch is made durable is told at the end", async () => {
  const directory = await scratch();
  const batch = new FileBatch();
  await batch.begin(() => open(join(directory, "missing", "file"), "wx"), 2 ** 30);
  await batch.flushIfFull();
  await expect(batch.sync()).rejects.toMatchObject({ code: "ENOENT" });
});

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "lifeboat-batch-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}
