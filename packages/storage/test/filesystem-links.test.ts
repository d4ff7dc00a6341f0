import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { filesystemStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-fs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("an object that was replaced by a symbolic link is not followed", async () => {
  const storage = filesystemStorage({ path: folder });
  await writeFile(join(folder, "secret"), "secret");
  await symlink(join(folder, "secret"), join(folder, "object"));
  await expect(Array.fromAsync(storage.read("object"))).rejects.toMatchObject({
    code: "OBJECT_UNREADABLE",
  });
});

test("what is no regular file is refused at once, neither waited for nor taken for absent", async () => {
  const storage = filesystemStorage({ path: folder });
  await promisify(execFile)("mkfifo", [join(folder, "pipe")]);
  await mkdir(join(folder, "folder"));
  await symlink("/dev/zero", join(folder, "device"));
  await symlink("/nowhere", join(folder, "dangling"));
  for (const path of ["pipe", "folder", "device", "dangling"]) {
    const refusal = { code: "OBJECT_UNREADABLE", details: { object: path } };
    await expect(Array.fromAsync(storage.read(path)), path).rejects.toMatchObject(refusal);
    await expect(storage.stat(path), path).rejects.toMatchObject(refusal);
  }
  const listed = (await storage.list({ prefix: "" })).objects.map(({ path }) => path);
  expect(listed).toEqual(["dangling", "device", "pipe"]);
});

test("a file where a folder belongs proves nothing about the objects below it", async () => {
  const storage = filesystemStorage({ path: folder });
  await writeFile(join(folder, "wal"), "");
  await expect(storage.stat("wal/object")).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
  await expect(storage.list({ prefix: "wal/" })).rejects.toMatchObject({
    code: "STORAGE_UNREACHABLE",
  });
});

test("a folder that is a symbolic link to nowhere is told, and ends no write in a loop", async () => {
  const storage = filesystemStorage({ path: folder });
  await symlink(join(folder, "nowhere"), join(folder, "wal"));
  await expect(storage.create("wal/object", Buffer.from("x"))).rejects.toMatchObject({
    code: "STORAGE_UNREACHABLE",
  });
});

test("a folder that is a symbolic link leads nobody out of the repository", async () => {
  const outside = join(folder, "outside");
  await mkdir(join(folder, "r"));
  await mkdir(outside);
  await writeFile(join(outside, "precious"), "x");
  await symlink(outside, join(folder, "r", "link"));
  const storage = filesystemStorage({ path: join(folder, "r") });
  const refusal = { code: "STORAGE_DENIED" };
  for (const path of ["link/new", "link/deeper/new"])
    await expect(storage.create(path, Buffer.from("x")), path).rejects.toMatchObject(refusal);
  await expect(Array.fromAsync(storage.read("link/precious"))).rejects.toMatchObject(refusal);
  await expect(storage.stat("link/precious")).rejects.toMatchObject(refusal);
  for (const prefix of ["", "l", "link/"])
    await expect(storage.list({ prefix }), prefix).rejects.toMatchObject(refusal);
  await expect(storage.list({ prefix: "", folded: true })).rejects.toMatchObject(refusal);
  expect((await storage.list({ prefix: "other/" })).objects).toEqual([]);
  await symlink(outside, join(folder, "r", ".lifeboat-tmp"));
  await expect(storage.create("new", Buffer.from("x"))).rejects.toMatchObject(refusal);
  await expect(storage.remove("link/precious")).rejects.toMatchObject(refusal);
  expect(await readdir(outside)).toEqual(["precious"]);
});

test("the repository's own directory may be reached by a symbolic link", async () => {
  await mkdir(join(folder, "disk"));
  await symlink(join(folder, "disk"), join(folder, "r"));
  const storage = filesystemStorage({ path: join(folder, "r") });
  await storage.create("a/object", Buffer.from("x"));
  expect(await storage.stat("a/object")).toMatchObject({ bytes: 1 });
});
