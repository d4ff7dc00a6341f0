import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Repository, RepositoryMemory, sealedJson, status, verify } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

const signal = new AbortController().signal;

let root: string;
let repository: Repository;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lifeboat-hostile-"));
  repository = await Repository.open({
    storage: filesystemStorage({ path: join(root, "repository") }),
    app: "documint",
    memory: new RepositoryMemory(join(root, "state")),
    mode: "write",
  });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const folder = () => repository.folder("sqlite", "app");

async function lay(path: string, content: string | Buffer): Promise<string> {
  const file = join(root, "repository", path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

async function layBackup(second: number): Promise<string> {
  const id = `20261122T10150${second}.000Z-full`;
  const instant = `2026-11-22T10:15:0${second}.000Z`;
  const times = { startedAt: instant, finishedAt: instant, consistentAt: instant };
  const origin = { id, app: "documint", engine: "sqlite", database: "app", type: "full" };
  const rest = { parent: null, label: null, sourceBytes: 0, storedBytes: 0, tool: "test" };
  const manifest = { format: 1, ...origin, ...times, ...rest, objects: [], details: {} };
  await lay(`${folder().backupPath(id)}/manifest.json`, sealedJson(manifest));
  return id;
}

test("manifests that cannot be read hide no other backup, and none of them is waited for", async () => {
  const whole = await layBackup(0);
  const place = (second: number) =>
    `${folder().backupPath(`20261122T10160${second}.000Z-full`)}/manifest.json`;
  await lay(place(0), `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
  await truncate(await lay(place(1), ""), 3 * 2 ** 30);
  await mkdir(join(root, "repository", place(2)), { recursive: true });
  await rm(await lay(place(3), ""));
  await promisify(execFile)("mkfifo", [join(root, "repository", place(3))]);
  await rm(await lay(place(4), ""));
  await symlink("/etc/passwd", join(root, "repository", place(4)));
  const found = await repository.backups(folder());
  expect(found.manifests.map(({ id }) => id)).toEqual([whole]);
  expect(found.problems.map(({ object, code }) => [object, code])).toEqual([
    [place(0), "MANIFEST_CORRUPT"],
    [place(1), "MANIFEST_CORRUPT"],
    [place(2), "OBJECT_UNREADABLE"],
    [place(3), "OBJECT_UNREADABLE"],
    [place(4), "OBJECT_UNREADABLE"],
  ]);
});

test("a lock's folder that is a symbolic link costs no file outside of the repository", async () => {
  const outside = join(root, "outside");
  await mkdir(outside);
  await writeFile(join(outside, "precious.json"), "{}");
  await mkdir(join(root, "repository", "documint", "locks"));
  await symlink(outside, join(root, "repository", "documint", "locks", "sqlite-app"));
  await expect(repository.lock("sqlite-app", "backup")).rejects.toMatchObject({
    code: "STORAGE_DENIED",
  });
  expect(await readdir(outside)).toEqual(["precious.json"]);
});

test("lock entries of any shape and size are no lock of a living run", async () => {
  const unmarked = JSON.stringify({ quiet: true, until: new Date(Date.now() + 60_000) });
  const entries = ["null", "5", '"x"', "[]", "{", '{"until":"soon"}', unmarked, "\0\x1b"];
  for (const [at, text] of entries.entries())
    await lay(`documint/locks/sqlite-app/${at}.json`, text);
  await truncate(await lay("documint/locks/sqlite-app/large.json", ""), 2 ** 31);
  const lock = await repository.lock("sqlite-app", "backup");
  await lock.release();
  expect(await repository.isLocked("sqlite-app")).toBe(false);
});

test("records of drills that are damaged or of another shape are named, and the others count", async () => {
  const seconds = { fetch: 0, restore: 0, replay: 0, checks: 0, total: 0 };
  const instant = "2026-11-22T10:15:00.000Z";
  const record = { ok: true, id: "20261122T101500.000Z", app: "documint", engine: "sqlite" };
  const rest = { database: "app", backup: "b", startedAt: instant, finishedAt: instant };
  await repository.writeDrill({
    ...record,
    engine: "sqlite",
    ...rest,
    recoveredTo: null,
    seconds,
    checks: [],
  });
  await lay("documint/drills/20261122T101501.000Z.json", "{");
  await lay("documint/drills/20261122T101502.000Z.json", sealedJson({ ok: false }));
  const now = await status({ repository, engines: [], live: null });
  expect(now.lastDrill).toMatchObject({ id: record.id });
  expect(now.alerts.filter(({ id }) => id === "manifest-damaged")).toHaveLength(2);
  const checked = await verify({ repository, engines: [], deep: false, signal });
  expect(checked.problems.map(({ object }) => object)).toEqual([
    "documint/drills/20261122T101501.000Z.json",
    "documint/drills/20261122T101502.000Z.json",
  ]);
});
