import { access, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeTree } from "../src/delta/remove-tree.ts";

const FILES = 300;

let root: string;
let tree: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lifeboat-tree-"));
  tree = join(root, "pg_wal");
  await mkdir(join(tree, "below"), { recursive: true });
  for (let n = 0; n < FILES; n++) await writeFile(join(tree, `${n}`), "");
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("a tree goes with all that is in it, and of a link only the link", async () => {
  const elsewhere = join(root, "elsewhere");
  await mkdir(elsewhere);
  await writeFile(join(elsewhere, "precious"), "");
  await symlink(elsewhere, join(tree, "below", "link"));
  expect(await removeTree(tree)).toBe(FILES + 1);
  expect(await removeTree(tree)).toBe(0);
  expect(await readdir(root)).toEqual(["elsewhere"]);
  expect(await readdir(elsewhere)).toEqual(["precious"]);
});

test("what comes into it meanwhile goes too", async () => {
  const removing = removeTree(tree);
  // Of several hundred files the first is gone: those in the tree were listed before.
  while ((await readdir(tree)).length > FILES) await access(root);
  await writeFile(join(tree, "late"), "");
  await removing;
  expect(await readdir(root)).toEqual([]);
});

test("another one that removes it at the same time is in nobody's way", async () => {
  await Promise.all([removeTree(tree), removeTree(tree)]);
  expect(await readdir(root)).toEqual([]);
});
