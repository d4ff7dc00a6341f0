import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesystemStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-fs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("files are 0600 and directories 0700, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    const storage = filesystemStorage({ path: join(folder, "r") });
    await storage.initialize();
    await storage.create("a/b/object", Buffer.from("x"));
    for (const [path, mode] of [
      ["r", 0o700],
      ["r/a", 0o700],
      ["r/a/b", 0o700],
      ["r/a/b/object", 0o600],
    ] as const)
      expect((await stat(join(folder, path))).mode & 0o777, path).toBe(mode);
  } finally {
    process.umask(before);
  }
});

test("a repository whose parent is missing is not made", async () => {
  const storage = filesystemStorage({ path: join(folder, "missing", "r") });
  await expect(storage.initialize()).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
  expect(await readdir(folder)).toEqual([]);
});

test("with the repository gone, nothing is proved absent and nothing is made anew", async () => {
  const storage = filesystemStorage({ path: join(folder, "r") });
  await storage.initialize();
  await storage.create("object", Buffer.from("x"));
  await rm(join(folder, "r"), { recursive: true });
  await expect(storage.stat("object")).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
  await expect(storage.create("a/b", Buffer.from("x"))).rejects.toMatchObject({
    code: "STORAGE_UNREACHABLE",
  });
  expect(await readdir(folder)).toEqual([]);
});

test("what a killed writer left is removed by the next one, and a living one's is not", async () => {
  const storage = filesystemStorage({ path: folder });
  const source = `
    import { filesystemStorage } from ${JSON.stringify(import.meta.resolve("@lifeboat/storage"))};
    const storage = filesystemStorage({ path: ${JSON.stringify(folder)} });
    await storage.create("never", (async function* () {
      yield Buffer.from("half");
      console.log("writing");
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    })());`;
  const writer = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(writer.stdout, "data");
  await storage.create("first", Buffer.from("x"));
  expect(await readdir(join(folder, ".lifeboat-tmp"))).toHaveLength(1);
  writer.kill("SIGKILL");
  await once(writer, "exit");
  await filesystemStorage({ path: folder }).create("second", Buffer.from("x"));
  expect(await readdir(join(folder, ".lifeboat-tmp"))).toEqual([]);
  expect(await storage.stat("never")).toBeUndefined();
});

test.runIf(process.getuid?.() === 0)(
  "run as root, objects belong to the owner of the repository",
  async () => {
    await mkdir(join(folder, "r"), { mode: 0o700 });
    await chown(join(folder, "r"), 65534, 65534);
    await filesystemStorage({ path: join(folder, "r") }).create("a/object", Buffer.from("x"));
    for (const path of ["r/a", "r/a/object"])
      expect((await stat(join(folder, path))).uid, path).toBe(65534);
  },
);

test.runIf(process.getuid?.() === 0)(
  "run as anybody else, objects are his who writes them, whoever the repository belongs to",
  async () => {
    const root = join(folder, "r");
    await mkdir(root);
    await chown(root, 1, 1);
    for (const path of [root, folder]) await chmod(path, 0o777);
    const source = `
      import { filesystemStorage } from ${JSON.stringify(import.meta.resolve("@lifeboat/storage"))};
      process.setgid(65534);
      process.setuid(65534);
      await filesystemStorage({ path: ${JSON.stringify(root)} }).create("a/object", Buffer.from("x"));`;
    const writer = spawn(process.execPath, ["--input-type=module", "-e", source], {
      stdio: "inherit",
    });
    expect(await once(writer, "exit")).toEqual([0, null]);
    for (const path of ["a", "a/object"])
      expect((await stat(join(root, path))).uid, path).toBe(65534);
  },
);

test("a full disk is named, and nothing of the object stays", async () => {
  // A file size limit is the nearest to a full disk that needs no rights: EFBIG instead of ENOSPC.
  const source = `
    import { filesystemStorage } from ${JSON.stringify(import.meta.resolve("@lifeboat/storage"))};
    process.on("SIGXFSZ", () => {});
    const storage = filesystemStorage({ path: ${JSON.stringify(folder)} });
    try { await storage.create("large", Buffer.alloc(4 << 20)); }
    catch (thrown) { console.log(thrown.code); }`;
  const writer = spawn("bash", [
    "-c",
    'ulimit -f 1024; exec "$@"',
    "bash",
    process.execPath,
    "--input-type=module",
    "-e",
    source,
  ]);
  let said = "";
  writer.stdout.on("data", (chunk) => {
    said += chunk;
  });
  await once(writer, "close");
  expect(said.trim()).toBe("STORAGE_FULL");
  expect(await readdir(join(folder, ".lifeboat-tmp"))).toEqual([]);
});

test.runIf(process.getuid?.() !== 0)(
  "a directory without the right to write is named",
  async () => {
    const storage = filesystemStorage({ path: join(folder, "r") });
    await storage.initialize();
    await chmod(join(folder, "r"), 0o500);
    await expect(storage.create("object", Buffer.from("x"))).rejects.toMatchObject({
      code: "STORAGE_DENIED",
    });
    await chmod(join(folder, "r"), 0o700);
  },
);

test("an object is removed where its folder must stay, since that stands where this account may remove nothing", async () => {
  const storage = filesystemStorage({ path: folder });
  await storage.create("app/object", Buffer.from("x"));
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) await chown(join(folder, "app"), 65534, 65534);
  await chmod(folder, 0o555);
  if (isRoot) process.seteuid?.(65534);
  try {
    await storage.remove("app/object");
    expect(await readdir(join(folder, "app"))).toEqual([]);
  } finally {
    if (isRoot) process.seteuid?.(0);
    await chmod(folder, 0o700);
  }
});

test("an object that this account may not read is told from one that the disk cannot give back", async () => {
  const storage = filesystemStorage({ path: folder });
  await storage.create("object", Buffer.from("x"));
  await chmod(join(folder, "object"), 0o000);
  await chmod(folder, 0o711);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    await expect(Array.fromAsync(storage.read("object"))).rejects.toMatchObject({
      code: "OBJECT_UNREADABLE",
      remedy: expect.stringContaining("the right to read it"),
    });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("the bytes on disk are the bytes given, nothing around them", async () => {
  await filesystemStorage({ path: folder }).create("object", Buffer.from("plain"));
  expect(await readFile(join(folder, "object"), "utf8")).toBe("plain");
});

test("of an object that another process replaces again and again each listing holds one", async () => {
  const storage = filesystemStorage({ path: folder });
  await storage.create("wal/part-0", Buffer.from("x"));
  const source = `
    import { unlinkSync, writeFileSync } from "node:fs";
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let n = 0; ; n++) {
      writeFileSync(${JSON.stringify(join(folder, "wal/part-"))} + (n + 1), "x");
      unlinkSync(${JSON.stringify(join(folder, "wal/part-"))} + n);
      if (n === 0) console.log("replaces");
      Atomics.wait(pause, 0, 0, 1);
    }`;
  const replacing = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(replacing.stdout, "data");
    for (let look = 0; look < 500; look++)
      expect((await storage.list({ prefix: "wal/part-" })).objects).not.toEqual([]);
    expect(replacing.exitCode).toBeNull();
  } finally {
    replacing.kill("SIGKILL");
    await once(replacing, "exit");
  }
});

test("who removes the last object of a folder, and it, is in nobody's way who stores another there", async () => {
  const storesAndRemoves = async (name: string) => {
    const storage = filesystemStorage({ path: folder });
    for (let round = 0; round < 150; round++) {
      await storage.create(`app/locks/${name}`, Buffer.from(name));
      await storage.remove(`app/locks/${name}`);
    }
  };
  await Promise.all(["one", "two", "three"].map(storesAndRemoves));
  expect(await readdir(folder)).toEqual([".lifeboat-tmp"]);
});
