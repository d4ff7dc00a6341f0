import { type FileHandle, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WriteBack } from "../src/write-back.ts";

let folder: string;
let file: FileHandle;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "write-back-"));
  file = await open(join(folder, "file"), "w");
});
afterEach(async () => {
  await file.close();
  await rm(folder, { recursive: true });
});

/** The handle, and the flushes that it was asked for, each of which ends when it is told to. */
function held(): { handle: FileHandle; flushes: PromiseWithResolvers<void>[] } {
  const flushes: PromiseWithResolvers<void>[] = [];
  const handle = Object.create(file, {
    datasync: {
      value: () => {
        const flush = Promise.withResolvers<void>();
        flushes.push(flush);
        return flush.promise;
      },
    },
  }) as FileHandle;
  return { handle, flushes };
}

describe("a file that is written for long", () => {
  test("is flushed once enough waits for it, and by one flush at a time", async () => {
    const { handle, flushes } = held();
    const writeBack = new WriteBack(handle, 10);
    writeBack.wrote(9);
    expect(flushes).toHaveLength(0);
    writeBack.wrote(1);
    writeBack.wrote(100);
    expect(flushes).toHaveLength(1);
    flushes[0]?.resolve();
    await writeBack.settle();
    writeBack.wrote(1);
    expect(flushes).toHaveLength(2);
    flushes[1]?.resolve();
    await writeBack.settle();
  });

  test("has a flush that failed told before it counts as durable, though later ones succeed", async () => {
    const { handle, flushes } = held();
    const writeBack = new WriteBack(handle, 10);
    writeBack.wrote(10);
    flushes[0]?.reject(new Error("the disk lost a page"));
    await expect(writeBack.settle()).rejects.toThrow("the disk lost a page");
    writeBack.wrote(10);
    flushes[1]?.resolve();
    await expect(writeBack.settle()).rejects.toThrow("the disk lost a page");
  });

  test("holds what was written, whatever is flushed meanwhile", async () => {
    const writeBack = new WriteBack(file, 1_000);
    let written = "";
    for (let line = 0; line < 500; line++) {
      const text = `line ${line}\n`;
      written += text;
      await file.writeFile(text);
      writeBack.wrote(text.length);
    }
    await writeBack.settle();
    expect(await readFile(join(folder, "file"), "utf8")).toBe(written);
  });
});
