import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeDirectories } from "@lifeboat/core";
import { beforeEach, expect, onTestFinished, test } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-directories-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

test("makes what is missing, says which is the topmost, and takes what is there", async () => {
  const path = join(folder, "a", "b", "c");
  expect(await makeDirectories(path, 0o700)).toBe(join(folder, "a"));
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  expect(await makeDirectories(path, 0o700)).toBeUndefined();
  expect(await makeDirectories(join(path, "d"), 0o700)).toBe(join(path, "d"));
});

test("two at once both have it", async () => {
  for (let time = 0; time < 200; time++) {
    const path = join(folder, String(time), "x", "y", "z");
    await Promise.all(Array.from({ length: 8 }, () => makeDirectories(path, 0o700)));
    expect((await stat(path)).isDirectory()).toBe(true);
  }
});

test("what is in the way is an error: a file, a link that leads nowhere", async () => {
  await writeFile(join(folder, "file"), "");
  await symlink("/nowhere/at/all", join(folder, "link"));
  for (const name of ["file", "link"]) {
    await expect(makeDirectories(join(folder, name), 0o700)).rejects.toThrow(/^EEXIST/);
    await expect(makeDirectories(join(folder, name, "below"), 0o700)).rejects.toThrow(
      /^(ENOTDIR|EEXIST)/,
    );
  }
});

test.runIf(process.platform === "linux")(
  "where nothing can be made although the parent is there it ends",
  async () => {
    await expect(makeDirectories("/proc/nope/below", 0o700)).rejects.toThrow(/^ENOENT/);
  },
);
