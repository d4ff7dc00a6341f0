import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FsyncWatch } from "../../../test/support/fsync-watch.ts";
import { CONTROL_ASIDE, HalfDone } from "../src/delta/half-done.ts";
import { ownAccount } from "../src/files/account.ts";

let directory: string;
const all = async () => (await readdir(directory, { recursive: true })).sort();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lifeboat-half-done-"));
  await mkdir(join(directory, "global"));
  await writeFile(join(directory, "global/pg_control"), "control");
});
afterEach(() => rm(directory, { recursive: true }));

test("a directory in which a server was started since it was looked at is left as it is", async () => {
  const before = await all();
  const begun = HalfDone.begin(directory, "7", {
    account: ownAccount(),
    assertFree: async () => {
      // Other runs keep off by now.
      expect(await all()).toHaveLength(before.length + 1);
      throw new Error("a server runs");
    },
  });
  await expect(begun).rejects.toThrow("a server runs");
  expect(await all()).toEqual(before);
});

test("no server finds its pg_control until all is there", async () => {
  const account = ownAccount();
  const begin = () => HalfDone.begin(directory, "7", { account, assertFree: async () => {} });
  const work = await begin();
  expect(await all()).toContain(CONTROL_ASIDE);
  expect(await all()).not.toContain("global/pg_control");
  await expect(begin()).rejects.toMatchObject({ code: "DELTA_RUNNING", kind: "locked" });
  await work.complete();
  expect(await all()).toEqual(["global", "global/pg_control"]);
});

test("its mark is on the disk before its pg_control is away, and that before a file is changed; back it comes in turn", async () => {
  const folders = new Map<number, string>();
  for (const name of ["", "global"])
    folders.set((await stat(join(directory, name))).ino, name === "" ? "directory" : name);
  const heard: string[] = [];
  using _ = await FsyncWatch.start(async ({ inode }) => {
    const folder = folders.get(inode);
    if (folder === undefined) return;
    const names = await all();
    const isMarked = names.some((name) => name.startsWith(".lifeboat-delta-"));
    const starts = names.includes("global/pg_control");
    heard.push(
      `${folder}: ${isMarked ? "marked" : "unmarked"}, ${starts ? "starts" : "does not start"}`,
    );
  });
  const begun = { account: ownAccount(), assertFree: async () => {} };
  const work = await HalfDone.begin(directory, "7", begun);
  expect(heard.splice(0)).toEqual(["directory: marked, starts", "global: marked, does not start"]);
  await work.complete();
  expect(heard).toEqual(["global: marked, starts", "directory: unmarked, starts"]);
});
