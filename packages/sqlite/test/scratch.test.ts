import { chmod, chown, mkdir, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ownProcessMark } from "@lifeboat/core";
import { expect, test } from "vitest";
import { testFolder } from "../../../test/support/sqlite.ts";
import { Scratch } from "../src/restore/scratch.ts";

/** A scratch folder as another process would have named it. */
async function foreignScratch(folder: string, mark: string, random: string): Promise<string> {
  const path = join(folder, `.lifeboat-${mark}-${random}`);
  await mkdir(path);
  await writeFile(join(path, "copy.db"), "half a copy");
  return path;
}

test("a scratch folder is private, and removing it twice is no error", async () => {
  const scratch = await Scratch.make(await testFolder());
  expect((await stat(scratch.path)).mode & 0o777).toBe(0o700);
  await writeFile(scratch.file("copy"), "content");
  await scratch.remove();
  await scratch.remove();
});

test("what dead processes left is removed, what living ones hold stays", async () => {
  const folder = await testFolder();
  const [place, pid, start] = ownProcessMark().split("-");
  await foreignScratch(folder, `${place}-${pid}-${Number(start) + 1}`, "00000001");
  const parent = process.ppid;
  const own = await Scratch.make(folder);
  const other = await Scratch.make(folder);
  expect(parent).toBeGreaterThan(0);
  expect((await readdir(folder)).sort()).toEqual([basename(own.path), basename(other.path)].sort());
});

test.runIf(process.getuid?.() === 0)(
  "in a folder for all what is another account's is left to that",
  async () => {
    const folder = await testFolder();
    const [place, pid, start] = ownProcessMark().split("-");
    const theirs = await foreignScratch(folder, `${place}-${pid}-${Number(start) + 1}`, "00000001");
    await chown(theirs, 54_321, 54_321);
    await chmod(folder, 0o1777);
    const own = await Scratch.make(folder);
    expect((await readdir(folder)).sort()).toEqual([basename(theirs), basename(own.path)].sort());
    await chmod(folder, 0o755);
    await own.remove();
    await (await Scratch.make(folder)).remove();
    expect(await readdir(folder)).toEqual([]);
  },
);

test("what cannot be seen from here is removed only after a day without a change", async () => {
  const folder = await testFolder();
  const elsewhere = "0123456789abcdef-1-1";
  const fresh = await foreignScratch(folder, elsewhere, "00000001");
  const old = await foreignScratch(folder, elsewhere, "00000002");
  const growing = await foreignScratch(folder, elsewhere, "00000003");
  const longAgo = new Date(Date.now() - 25 * 60 * 60_000);
  for (const path of [old, join(old, "copy.db"), growing]) await utimes(path, longAgo, longAgo);
  const own = await Scratch.make(folder);
  expect((await readdir(folder)).sort()).toEqual(
    [fresh, growing, own.path].map((path) => basename(path)).sort(),
  );
});

test("files and folders that only look alike are left alone", async () => {
  const folder = await testFolder();
  await mkdir(join(folder, ".lifeboat-notes"));
  await writeFile(join(folder, "app.db"), "");
  const own = await Scratch.make(folder);
  await own.remove();
  expect((await readdir(folder)).sort()).toEqual([".lifeboat-notes", "app.db"]);
});
