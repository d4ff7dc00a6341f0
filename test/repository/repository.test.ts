import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DrillRecord, Repository, RepositoryMemory, sealedJson } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let folder: string;
let memory: RepositoryMemory;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-repository-"));
  memory = new RepositoryMemory(join(folder, "state"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (mode: "read" | "write", app = "documint", path = "repository") =>
  Repository.open({ storage: filesystemStorage({ path: join(folder, path) }), app, memory, mode });

describe("making a repository", () => {
  test("the first writer makes it where nothing is, with its guide and mark", async () => {
    const repository = await open("write");
    const files = await readdir(join(folder, "repository"));
    expect(files.sort()).toEqual([".lifeboat-tmp", "RESTORE.md", "documint"]);
    const mark = JSON.parse(
      await readFile(join(folder, "repository/documint/lifeboat.json"), "utf8"),
    );
    expect(mark).toMatchObject({ format: 1, app: "documint", engines: ["sqlite", "postgres"] });
    expect((await open("read")).id).toBe(repository.id);
  });

  test("an empty folder will do, and so will a fresh mount with lost+found", async () => {
    await mkdir(join(folder, "repository/lost+found"), { recursive: true });
    await expect(open("write")).resolves.toBeInstanceOf(Repository);
  });

  test("a reader who mistypes the app is told which there are", async () => {
    await open("write");
    await expect(open("read", "documnet")).rejects.toMatchObject({
      code: "REPOSITORY_MISSING",
      remedy: expect.stringContaining("it has documint"),
    });
  });

  test("a damaged mark keeps writers out, with what helps: another backup of the same repository would not", async () => {
    await open("write");
    await writeFile(join(folder, "repository/documint/lifeboat.json"), "");
    await expect(open("write")).rejects.toMatchObject({
      code: "MANIFEST_CORRUPT",
      message: "documint/lifeboat.json is not whole JSON (0 bytes)",
      remedy: expect.stringMatching(/^bring this object back .* restore go on as ever$/),
    });
  });

  test("readers do without a mark that is damaged, but not without one that says something else", async () => {
    await open("write");
    const mark = join(folder, "repository/documint/lifeboat.json");
    const whole = await readFile(mark, "utf8");
    await writeFile(mark, whole.slice(0, -9));
    expect((await open("read")).markProblem).toMatchObject({
      object: "documint/lifeboat.json",
      code: "MANIFEST_CORRUPT",
    });
    await writeFile(mark, sealedJson({ ...JSON.parse(whole), format: 2 }));
    await expect(open("read")).rejects.toMatchObject({ code: "FORMAT_TOO_NEW" });
    await writeFile(mark, sealedJson({ ...JSON.parse(whole), app: "cronping" }));
    await expect(open("read")).rejects.toMatchObject({ message: /belongs to the app cronping/ });
  });

  test("a reader never makes one", async () => {
    await expect(open("read")).rejects.toMatchObject({ code: "REPOSITORY_MISSING" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("what is remembered already is not written again", async () => {
    await open("write");
    const [name = ""] = await readdir(join(folder, "state"));
    const written = async () => (await stat(join(folder, "state", name))).ino;
    // Held open by a second name, its number is given to no other file.
    await link(join(folder, "state", name), join(folder, "kept"));
    const before = await written();
    await open("write");
    expect(await written()).toBe(before);
  });

  test("an account whose home is no directory, as services have, reads all the same", async () => {
    await open("write");
    await writeFile(join(folder, "home"), "");
    memory = new RepositoryMemory(join(folder, "home", "state"));
    await expect(open("read")).resolves.toBeInstanceOf(Repository);
    await expect(open("read", "documnet")).rejects.toMatchObject({ code: "REPOSITORY_MISSING" });
  });

  test("a folder with somebody's files is refused and left alone", async () => {
    await mkdir(join(folder, "repository"));
    await writeFile(join(folder, "repository/thesis.txt"), "");
    await expect(open("write")).rejects.toMatchObject({ code: "NOT_EMPTY", kind: "refused" });
    expect(await readdir(join(folder, "repository"))).toEqual(["thesis.txt"]);
  });

  test("two at once make one", async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => open("write")));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  });

  test("several apps share one place", async () => {
    const [one, two] = [await open("write", "documint"), await open("write", "cronping")];
    expect(one.id).not.toBe(two.id);
    expect((await open("read", "documint")).id).toBe(one.id);
  });

  test("an app's name that would leave the repository is refused", async () => {
    for (const app of ["..", "a/b", "", ".git", "a\\b"])
      await expect(open("write", app), app).rejects.toMatchObject({ kind: "usage" });
  });
});

describe("a repository that was there and is gone is an error, never made anew", () => {
  test("when its folder is missing, and when it is empty like an unmounted mount point", async () => {
    await open("write");
    await rename(join(folder, "repository"), join(folder, "elsewhere"));
    await expect(open("write")).rejects.toMatchObject({ code: "REPOSITORY_GONE" });
    await mkdir(join(folder, "repository"));
    await expect(open("write")).rejects.toMatchObject({ code: "REPOSITORY_GONE" });
    await expect(open("read")).rejects.toMatchObject({ code: "REPOSITORY_GONE" });
    expect(await readdir(join(folder, "repository"))).toEqual([]);
    await rm(join(folder, "repository"), { recursive: true });
    await rename(join(folder, "elsewhere"), join(folder, "repository"));
    await expect(open("write")).resolves.toBeInstanceOf(Repository);
  });

  test("also where what is remembered was damaged, which is said and mended once it is there again", async () => {
    await open("write");
    const [name = ""] = await readdir(join(folder, "state"));
    await writeFile(join(folder, "state", name), "{ cut");
    await rename(join(folder, "repository"), join(folder, "elsewhere"));
    await expect(open("write")).rejects.toMatchObject({
      code: "STATE_UNREADABLE",
      remedy: expect.stringContaining(`rm ${join(folder, "state", name)}`),
    });
    await rename(join(folder, "elsewhere"), join(folder, "repository"));
    const { id } = await open("write");
    expect(JSON.parse(await readFile(join(folder, "state", name), "utf8"))).toMatchObject({ id });
  });

  test("until the file that the remedy names is removed", async () => {
    await open("write");
    await rm(join(folder, "repository"), { recursive: true });
    const refusal = await open("write").catch((thrown) => thrown);
    const file = /remove (\S+) and/.exec(refusal.remedy)?.[1] as string;
    await rm(file);
    await expect(open("write")).resolves.toBeInstanceOf(Repository);
  });
});

test("a record that is longer than any that is read again is not written", async () => {
  const repository = await open("write");
  const message = "x".repeat(16 << 20);
  const checks = [{ name: "long", ok: false, message }];
  await expect(
    repository.writeDrill({ id: "20261122T101500.123Z", checks } as unknown as DrillRecord),
  ).rejects.toMatchObject({ code: "DOCUMENT_TOO_LONG" });
  expect((await repository.storage.list({ prefix: "documint/drills/" })).objects).toEqual([]);
});

describe("a lock", () => {
  test("is held by one and free after its release", async () => {
    const repository = await open("write");
    const lock = await repository.lock("sqlite-app", "backup of app");
    await expect(repository.lock("sqlite-app", "backup of app")).rejects.toMatchObject({
      code: "LOCKED",
      kind: "locked",
      message: expect.stringContaining(`pid ${process.pid}`),
    });
    await (await repository.lock("another", "x")).release();
    await lock.release();
    await (await repository.lock("sqlite-app", "again")).release();
  });

  test("of many at once is never held by two", async () => {
    const repository = await open("write");
    for (let round = 0; round < 10; round += 1) {
      const tries = await Promise.allSettled(
        Array.from({ length: 6 }, () => repository.lock("x", "test")),
      );
      const held = tries.filter((result) => result.status === "fulfilled");
      expect(held.length).toBeLessThanOrEqual(1);
      for (const result of held) await result.value.release();
    }
  });

  test("of a killed process is taken over, of a living one it is not", async () => {
    const repository = await open("write");
    const holder = await holdElsewhere();
    expect(await repository.isLocked("x")).toBe(true);
    await expect(repository.lock("x", "test")).rejects.toMatchObject({ code: "LOCKED" });
    holder.kill("SIGKILL");
    await once(holder, "exit");
    expect(await repository.isLocked("x")).toBe(false);
    await (await repository.lock("x", "test")).release();
    expect((await repository.storage.list({ prefix: "documint/locks/" })).objects).toEqual([]);
  });
});

async function holdElsewhere() {
  const source = `
    import { Repository, RepositoryMemory, sealedJson } from ${JSON.stringify(import.meta.resolve("@lifeboat/core"))};
    import { filesystemStorage } from ${JSON.stringify(import.meta.resolve("@lifeboat/storage"))};
    const repository = await Repository.open({
      storage: filesystemStorage({ path: ${JSON.stringify(join(folder, "repository"))} }),
      app: "documint", memory: new RepositoryMemory(${JSON.stringify(join(folder, "state"))}), mode: "write",
    });
    await repository.lock("x", "a backup");
    console.log("held");
    setInterval(() => {}, 1e6);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  return holder;
}
