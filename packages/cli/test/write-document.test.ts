import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeDocument } from "../src/write-document.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-document-"));
});
afterEach(() => rm(folder, { recursive: true }));

const plan = (text: string) => ({
  what: "plan",
  text,
  mode: 0o600,
  isEarlier: (found: string) => found.startsWith("plan"),
});

test("a document takes the place of an earlier one alone, whole, and leaves nothing beside it", async () => {
  const file = join(folder, "plan.json");
  await writeDocument(file, plan("plan 1"));
  await writeDocument(file, plan("plan 2"));
  expect(await readFile(file, "utf8")).toBe("plan 2");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await writeFile(file, "my thesis");
  for (const taken of [file, folder])
    await expect(writeDocument(taken, plan("plan 3"))).rejects.toMatchObject({
      code: "FILE_EXISTS",
      kind: "refused",
    });
  expect(await readFile(file, "utf8")).toBe("my thesis");
  await expect(writeDocument(join(folder, "none", "x"), plan("plan"))).rejects.toMatchObject({
    code: "FILE_UNWRITABLE",
  });
  expect(await readdir(folder)).toEqual(["plan.json"]);
});

test("a link that somebody laid where it grows is not followed", async () => {
  const file = join(folder, "plan.json");
  await writeFile(join(folder, "theirs"), "kept");
  await symlink(join(folder, "theirs"), `${file}.${process.pid}`);
  await writeDocument(file, plan("plan 1"));
  expect(await readFile(join(folder, "theirs"), "utf8")).toBe("kept");
});
