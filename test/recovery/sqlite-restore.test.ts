import promises, {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { backup } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { FsyncWatch } from "../support/fsync-watch.ts";
import {
  expectCleanPrefix,
  isThere,
  makeLedger,
  overwrite,
  testFolder,
} from "../support/sqlite.ts";
import { backedUp, SqliteApp } from "../support/sqlite-repository.ts";

test("a restored WAL-mode database is complete without a -wal and still in WAL mode", async () => {
  const app = await backedUp();
  const report = await app.restore(join(app.folder, "to"));
  expect(report).toMatchObject({ engine: "sqlite", path: join(app.folder, "to", "app.db") });
  expect(report.recoveredTo).toBe(report.willRecoverTo.time);
  expect(await readdir(join(app.folder, "to"))).toEqual(["app.db"]);
  const bytes = await readFile(report.path);
  expect([bytes[18], bytes[19]]).toEqual([2, 2]);
  expect(bytes.length).toBe(report.bytes);
  expect(expectCleanPrefix(report.path)).toBe(50);
});

test("the copy has the file's own name, mode and owner, in a new folder that its owner can use", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "with blanks & ünïcode.sqlite3"));
  makeLedger(app.path);
  const root = process.getuid?.() === 0;
  if (root) await chown(app.path, 12_345, 23_456);
  await chmod(app.path, 0o640);
  await app.backup();
  const { path } = await app.restore(join(folder, "new", "folder"));
  expect(path).toBe(join(folder, "new", "folder", "with blanks & ünïcode.sqlite3"));
  const restored = await stat(path);
  expect(restored.mode & 0o7777).toBe(0o640);
  if (root) expect([restored.uid, restored.gid]).toEqual([12_345, 23_456]);
  const made = await stat(join(folder, "new", "folder"));
  expect(made.mode & 0o777).toBe(0o700);
  expect(made.uid).toBe(restored.uid);
});

test("a database reached by a link is restored under the name of the configuration", async () => {
  const folder = await testFolder();
  makeLedger(join(folder, "release-7.db"));
  const app = new SqliteApp(folder, join(folder, "current.db"));
  await symlink("release-7.db", app.path);
  await app.backup();
  expect((await app.restore(join(folder, "to"))).path).toBe(join(folder, "to", "current.db"));
});

test("an existing file is left alone and refused", async () => {
  const app = await backedUp();
  const to = join(app.folder, "to");
  await mkdir(to);
  await writeFile(join(to, "app.db"), "mine");
  await expect(app.restore(to)).rejects.toMatchObject({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
  });
  expect(await readFile(join(to, "app.db"), "utf8")).toBe("mine");
  expect(await readdir(to)).toEqual(["app.db"]);
});

test("files of other names in the directory are no hindrance", async () => {
  const app = await backedUp();
  const to = join(app.folder, "to");
  await mkdir(to);
  await writeFile(join(to, "notes"), "mine");
  await app.restore(to);
  expect((await readdir(to)).sort()).toEqual(["app.db", "notes"]);
});

test.each(["-wal", "-journal", "-shm"])(
  "a stale %s, which SQLite would apply to the copy, is refused, and removed with force",
  async (suffix) => {
    const app = await backedUp();
    const to = join(app.folder, "to");
    await mkdir(to);
    await writeFile(join(to, `app.db${suffix}`), "stale");
    await expect(app.restore(to)).rejects.toMatchObject({ code: "STALE_WAL", kind: "refused" });
    expect(await readdir(to)).toEqual([`app.db${suffix}`]);
    await app.restore(to, { force: true });
    expect(await readdir(to)).toEqual(["app.db"]);
  },
);

test.each([
  ["app.db", "TARGET_NOT_EMPTY"],
  ["app.db-wal", "STALE_WAL"],
])("%s that somebody puts there while the copy is made is left alone", async (name, code) => {
  const app = await backedUp();
  const to = join(app.folder, "to");
  {
    using _ = await FsyncWatch.start(async ({ directory }) => {
      if (!directory) await writeFile(join(to, name), "mine");
    });
    await expect(app.restore(to)).rejects.toMatchObject({ code, kind: "refused" });
  }
  expect(await readdir(to)).toEqual([name]);
  expect(await readFile(join(to, name), "utf8")).toBe("mine");
});

test("with --force the log of the old database is gone for good before the copy takes its name, and that is durable before the end", async () => {
  const app = await backedUp();
  const to = join(app.folder, "to");
  await app.restore(to);
  const { ino: old } = await stat(join(to, "app.db"));
  await writeFile(join(to, "app.db-shm"), "left");
  const { ino: directory } = await stat(to);
  const seen: unknown[] = [];
  {
    using _ = await FsyncWatch.start(async ({ inode }) => {
      if (inode !== directory) return;
      const isOld = (await stat(join(to, "app.db"))).ino === old;
      const names = (await readdir(to)).filter((name) => name.startsWith("app.db"));
      seen.push([isOld ? "old" : "new", names]);
    });
    await app.restore(to, { force: true });
  }
  expect(seen).toEqual([
    ["old", ["app.db"]],
    ["new", ["app.db"]],
  ]);
});

test("a target without room for the database is refused before anything is made there", async () => {
  const app = await backedUp();
  const to = join(app.folder, "a/b");
  const { statfs } = promises;
  promises.statfs = (async (path: string) => ({
    ...(await statfs(path)),
    bavail: 100_000,
    bsize: 1,
  })) as typeof statfs;
  syncBuiltinESMExports();
  try {
    await expect(app.restore(to)).rejects.toMatchObject({
      code: "NO_SPACE",
      message: expect.stringContaining(`${to} has 100000 bytes free`),
    });
  } finally {
    promises.statfs = statfs;
    syncBuiltinESMExports();
  }
  expect(await isThere(join(app.folder, "a"))).toBe(false);
});

test("a file that comes into being in the very moment in which the copy gets its name is not replaced", async () => {
  const app = await backedUp();
  const to = join(app.folder, "to");
  const file = join(to, "app.db");
  const { link } = promises;
  promises.link = async (from, name) => {
    await writeFile(name, "mine");
    return link(from, name);
  };
  syncBuiltinESMExports();
  try {
    await expect(app.restore(to)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      kind: "refused",
    });
  } finally {
    promises.link = link;
    syncBuiltinESMExports();
  }
  expect(await readFile(file, "utf8")).toBe("mine");
});

test("with force a database that nobody uses is replaced, and its log does not reach the copy", async () => {
  const app = await backedUp();
  const database = new Database(app.path);
  database.exec("UPDATE counter SET v = -1; DELETE FROM ledger");
  // As after a kill: the newest commits lie in the -wal only.
  const [main, wal] = [await readFile(app.path), await readFile(`${app.path}-wal`)];
  database.close();
  await writeFile(app.path, main);
  await writeFile(`${app.path}-wal`, wal);
  await app.restore(app.folder, { force: true });
  expect(expectCleanPrefix(app.path)).toBe(50);
});

test("with force a file that SQLite cannot read is replaced", async () => {
  const app = await backedUp();
  await writeFile(app.path, "no database at all");
  await writeFile(`${app.path}-wal`, "rubbish");
  await app.restore(app.folder, { force: true });
  expect(expectCleanPrefix(app.path)).toBe(50);
});

test("a file where the directory should be is refused", async () => {
  const app = await backedUp();
  const to = join(app.folder, "to");
  await writeFile(to, "mine");
  await expect(app.restore(to)).rejects.toMatchObject({ kind: "refused" });
  expect(await readFile(to, "utf8")).toBe("mine");
});

test("the file's own path in place of its directory is refused, whether the file is lost or there", async () => {
  const folder = join(await testFolder(), "my shop");
  await mkdir(folder);
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  await app.backup();
  const meant = `name the directory that it lies in: --to '${app.folder}'`;
  const refusal = { code: "TARGET_NOT_A_DIRECTORY", kind: "refused", remedy: meant };
  await expect(app.restore(app.path)).rejects.toMatchObject(refusal);
  await rm(app.path);
  await expect(app.restore(app.path)).rejects.toMatchObject(refusal);
  expect(await isThere(app.path)).toBe(false);
  await app.restore(app.folder);
  expect(expectCleanPrefix(app.path)).toBe(50);
});

test("a damaged object ends the restore, names itself, and leaves no directory behind", async () => {
  const app = await backedUp();
  const { folder, manifests } = await app.manifests();
  const [manifest] = manifests;
  const database = manifest?.objects.find(({ role }) => role === "database");
  if (!manifest || !database) throw new Error("no backup");
  const object = folder.objectPath(manifest, database);
  await overwrite(join(app.folder, "repository", object), 1000, Buffer.from("damage"));
  await expect(app.restore(join(app.folder, "a", "b"))).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
    message: expect.stringContaining(object),
  });
  expect(await isThere(join(app.folder, "a"))).toBe(false);
});

test("without the check of the copy a damaged source is given back byte for byte, and digests are checked all the same", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { rows: 200 });
  await overwrite(app.path, 40 * 4096, Buffer.alloc(4096, 7));
  await app.backup();
  const { path } = await app.restore(join(folder, "to"), { skipCheck: true });
  expect(await readFile(path)).toEqual(await readFile(app.path));
  const { manifests } = await app.manifests();
  const object = `${app.folder}/repository/product/sqlite/app/backups/${manifests[0]?.id}/app.db.zst`;
  await overwrite(object, 1000, Buffer.from("damage"));
  await expect(app.restore(join(folder, "again"), { skipCheck: true })).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
  });
});

test("a database that was damaged when it was backed up gets no name", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { rows: 200 });
  await overwrite(app.path, 40 * 4096, Buffer.alloc(4096, 7));
  await app.backup();
  await expect(app.restore(join(folder, "to"))).rejects.toMatchObject({
    code: "RESTORED_COPY_DAMAGED",
  });
  expect(await isThere(join(folder, "to"))).toBe(false);
});

test("rows that the schema forbids are data of the source: restored, and told", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const database = new Database(app.path);
  database.unsafeMode();
  database.exec(`
    CREATE TABLE plans(price INTEGER);
    INSERT INTO plans VALUES (NULL);
    PRAGMA writable_schema = on;
    UPDATE sqlite_schema SET sql = 'CREATE TABLE plans(price INTEGER NOT NULL)' WHERE name = 'plans';
  `);
  database.close();
  await app.backup();
  const { findings } = await app.restore(join(folder, "to"));
  expect(findings).toMatchObject([{ id: "sqlite-rows-against-schema", severity: "warning" }]);
});

test("an aborted restore and an aborted backup leave nothing", async () => {
  const app = await backedUp({ rows: 2000 });
  const signal = AbortSignal.abort(new Error("stopped"));
  await expect(app.restore(join(app.folder, "to"), { signal })).rejects.toThrow("stopped");
  expect(await isThere(join(app.folder, "to"))).toBe(false);
  for (const milliseconds of [1, 20, 60, 100]) {
    const before = (await app.manifests()).manifests.length;
    const outcome = await app.backup(AbortSignal.timeout(milliseconds)).then(
      () => 1,
      () => 0,
    );
    expect((await app.manifests()).manifests.length).toBe(before + outcome);
    expect((await readdir(app.folder)).filter((name) => /^\.lifeboat|-wal$/.test(name))).toEqual(
      [],
    );
  }
});

test("an instant is restored only if a backup holds it, and a backup by its id", async () => {
  const app = await backedUp();
  const { consistentAt, id } = await app.backup();
  const at = new Date(consistentAt);
  const target = { kind: "time", at, exclusive: false } as const;
  expect((await app.restore(join(app.folder, "a"), { target })).backup).toBe(id);
  const outside = { ...target, at: new Date(at.getTime() + 1) };
  await expect(app.restore(join(app.folder, "b"), { target: outside })).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
  });
  const lsn = { kind: "lsn", lsn: "0/1", exclusive: false } as const;
  await expect(app.restore(join(app.folder, "b"), { target: lsn })).rejects.toMatchObject({
    kind: "usage",
  });
  expect(await isThere(join(app.folder, "b"))).toBe(false);
});

test("several databases are backed up in one run and restored together, each complete", async () => {
  const folder = await testFolder();
  const databases = ["orders", "events"].map((name) => ({
    name,
    path: join(folder, `${name}.db`),
  }));
  for (const { path } of databases) makeLedger(path);
  const app = new SqliteApp(folder, join(folder, "orders.db"));
  const report = await backup({
    repository: await app.repository(),
    engine: sqliteEngine({ databases }),
    type: "full",
    options: {},
    signal: new AbortController().signal,
  });
  expect(report.databases.map(({ database }) => database)).toEqual(["orders", "events"]);
  // Where one of them is refused no other one comes either.
  await mkdir(join(folder, "half"));
  await writeFile(join(folder, "half/orders.db-wal"), "stale");
  const refused = { code: "STALE_WAL", kind: "refused" };
  await expect(app.restore(join(folder, "half"))).rejects.toMatchObject(refused);
  expect(await readdir(join(folder, "half"))).toEqual(["orders.db-wal"]);
  const restored = await app.restore(join(folder, "to"));
  expect((await readdir(join(folder, "to"))).sort()).toEqual(["events.db", "orders.db"]);
  expect(restored.databases.map(({ path }) => expectCleanPrefix(path))).toEqual([50, 50]);
});

test("a link to a directory leads there; one that leads nowhere, and a directory in the place of a -wal, are refused", async () => {
  const app = await backedUp();
  const at = (name: string) => join(app.folder, name);
  await mkdir(at("disk/app.db-wal"), { recursive: true });
  await symlink("disk", at("link"));
  await symlink("nowhere", at("lost"));
  const refused = (to: string, code: string) =>
    expect(app.restore(to, { force: true })).rejects.toMatchObject({ code, kind: "refused" });
  await refused(at("lost"), "TARGET_NOT_A_DIRECTORY");
  await refused(at("link"), "TARGET_NOT_EMPTY");
  await rmdir(at("disk/app.db-wal"));
  await app.restore(at("link"));
  expect(await readdir(at("disk"))).toEqual(["app.db"]);
});

test("a place that no file can lie at is named with what is wrong with it", async () => {
  const app = await backedUp();
  await symlink(join(app.folder, "nowhere"), join(app.folder, "link"));
  await expect(app.restore(join(app.folder, "link", "to"))).rejects.toMatchObject({
    code: "TARGET_UNWRITABLE",
    message: expect.stringContaining("EEXIST"),
  });
});
