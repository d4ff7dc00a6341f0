import { existsSync } from "node:fs";
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LifeboatError, Repository, RepositoryMemory } from "@lifeboat/core";
import { fetchWal, pushWal } from "@lifeboat/postgres/archive";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WalSpool } from "../../packages/postgres/src/archive/wal-spool.ts";
import { FsyncWatch, loseWrittenPages } from "../support/fsync-watch.ts";
import { startCluster, tablespaceFolder } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { repositoryBeside } from "../support/postgres-repository.ts";
import { makeLedger } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-fsync-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Whether `path` had its name already at each fsync of what lies there now, and of its directory. */
async function fsyncsFor(path: string, work: () => Promise<unknown>) {
  const heard: { inode: number; named: boolean }[] = [];
  {
    using _ = await FsyncWatch.start(({ inode }) => heard.push({ inode, named: existsSync(path) }));
    await work();
  }
  const namedAt = async (place: string) => {
    const { ino } = await stat(place);
    return heard.filter(({ inode }) => inode === ino).map(({ named }) => named);
  };
  return { file: await namedAt(path), directory: await namedAt(join(path, "..")) };
}

test("an object is on disk before it has its name, and its name before it counts as stored", async () => {
  const storage = filesystemStorage({ path: folder });
  const fsyncs = await fsyncsFor(join(folder, "a/object"), () =>
    storage.create("a/object", Buffer.from("x")),
  );
  expect(fsyncs.file).toEqual([false]);
  expect(fsyncs.directory).toContain(true);
});

test("the folders of an object are on disk before it counts as stored", async () => {
  const storage = filesystemStorage({ path: folder });
  await storage.create("other", Buffer.from("x"));
  const fsyncs = await fsyncsFor(join(folder, "a/b"), () =>
    storage.create("a/b/object", Buffer.from("x")),
  );
  expect(fsyncs.directory).toContain(true);
});

test("an object that the disk gives back otherwise than it was written gets no name", async () => {
  const storage = filesystemStorage({ path: folder });
  const growing = join(folder, ".lifeboat-tmp");
  using _ = await FsyncWatch.start(async ({ directory }) => {
    if (directory) return;
    for (const name of await readdir(growing)) await appendFile(join(growing, name), "y");
  });
  await expect(storage.create("object", Buffer.from("x"))).rejects.toMatchObject({
    code: "STORAGE_CORRUPTS",
  });
  expect((await storage.list({ prefix: "" })).objects).toEqual([]);
});

test("a restored SQLite file is on disk before it has its name, and its name before it counts", async () => {
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  await app.backup();
  const to = join(folder, "to");
  const fsyncs = await fsyncsFor(join(to, "app.db"), () => app.restore(to));
  expect(fsyncs.file).toEqual([false]);
  expect(fsyncs.directory).toContain(true);
});

test("the directories that a restored SQLite file lies in are on disk before it counts, those that were made and one that was there", async () => {
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  await app.backup();
  const there = join(folder, "there");
  await mkdir(there);
  const { directory } = await fsyncsFor(join(there, "app.db"), () => app.restore(there));
  expect(directory).toContain(true);
  const to = join(folder, "a/b/c");
  const synced = new Set<number>();
  {
    using _ = await FsyncWatch.start(({ inode }) => {
      if (existsSync(join(to, "app.db"))) synced.add(inode);
    });
    await app.restore(to);
  }
  for (const each of [to, join(to, ".."), join(to, "../.."), folder])
    expect(synced).toContain((await stat(each)).ino);
});

test("a restored SQLite file that the disk does not take gets no name", async () => {
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  await app.backup();
  const to = join(folder, "to");
  {
    using _ = await FsyncWatch.start(({ directory }) => {
      if (!directory) throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO" });
    });
    await expect(app.restore(to)).rejects.toMatchObject({ code: "DATABASE_IO" });
  }
  expect(existsSync(to)).toBe(false);
});

test("pages that the disk lost while a long SQLite file was written end its restore, though the sync at its end succeeds", async () => {
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const database = new Database(app.path);
  database.exec("CREATE TABLE long(b); INSERT INTO long VALUES (zeroblob(40000000))");
  database.close();
  await app.backup();
  const to = join(folder, "to");
  {
    using _ = await loseWrittenPages();
    await expect(app.restore(to)).rejects.toThrow("EIO");
  }
  expect(existsSync(to)).toBe(false);
  await app.restore(to);
});

test("every file of a restored cluster is on disk before the cluster has its name", async () => {
  const cluster = await startCluster();
  try {
    const place = await tablespaceFolder(cluster, "space");
    await cluster.query(`create tablespace space location '${place}'`);
    await cluster.query("create table elsewhere tablespace space as select 7 as n");
    const kept = await repositoryBeside(cluster);
    await kept.take();
    const to = join(cluster.directory, "restored");
    const mapped = join(cluster.directory, "mapped");
    const durable = new Set<number>();
    const named = new Set<number>();
    const tablespaceMapping = new Map([[place, mapped]]);
    {
      using _ = await FsyncWatch.start(({ inode }) => {
        (existsSync(to) ? named : durable).add(inode);
      });
      await restoreBeside(cluster, kept, { to, tablespaceMapping });
    }
    expect(named).toContain((await stat(cluster.directory)).ino);
    for (const root of [to, mapped]) {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const unsynced: string[] = [];
      for (const entry of entries) {
        const path = join(entry.parentPath, entry.name);
        if (!entry.isSymbolicLink() && !durable.has((await stat(path)).ino)) unsynced.push(path);
      }
      expect(entries.length).toBeGreaterThan(2);
      expect(unsynced).toEqual([]);
    }
    // A delta restore has written into files that stand, and they are on disk before a server can start.
    await appendFile(join(to, "base/1/1255"), Buffer.alloc(8192, 1));
    const before = new Set<number>();
    {
      using _ = await FsyncWatch.start(({ inode }) => {
        if (existsSync(join(to, "global/pg_control.lifeboat-delta"))) before.add(inode);
      });
      await restoreBeside(cluster, kept, { to, tablespaceMapping, delta: true });
    }
    // The last of its archive is the control file.
    for (const name of ["base/1/1255", "base/1", "global/pg_control"])
      expect(before, name).toContain((await stat(join(to, name))).ino);
  } finally {
    await cluster.stop();
  }
});

test("until a copy takes its place by force, the old database keeps the commits of its log", async () => {
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  await app.backup();
  const database = new Database(app.path);
  database.exec("DELETE FROM ledger");
  // As after a kill: the newest commit lies in the -wal only.
  const [main, wal] = [await readFile(app.path), await readFile(`${app.path}-wal`)];
  database.close();
  await writeFile(app.path, main);
  await writeFile(`${app.path}-wal`, wal);
  const { ino } = await stat(app.path);
  const seen: number[] = [];
  {
    using _ = await FsyncWatch.start(async ({ directory }) => {
      if (!directory || (await stat(app.path)).ino !== ino) return;
      const asLeft = await mkdtemp(join(folder, "as-left-"));
      for (const name of ["app.db", "app.db-wal"])
        if (existsSync(join(folder, name))) await copyFile(join(folder, name), join(asLeft, name));
      const left = new Database(join(asLeft, "app.db"));
      seen.push(left.prepare("SELECT count(*) FROM ledger").pluck().get() as number);
      left.close();
    });
    await app.restore(folder, { force: true });
  }
  expect(seen.length).toBeGreaterThan(0);
  expect(new Set(seen)).toEqual(new Set([0]));
});

test("a fetched WAL file is on disk before the server sees it", async () => {
  const repository = await Repository.open({
    storage: filesystemStorage({ path: join(folder, "repository") }),
    app: "app",
    memory: new RepositoryMemory(join(folder, "memory")),
    mode: "write",
  });
  await repository.folder("postgres", "7").storeLog("00000002/00000002.history", once);
  const destination = join(folder, "pg_wal/RECOVERYHISTORY");
  await mkdir(join(folder, "pg_wal"));
  const name = "00000002.history";
  const fsyncs = await fsyncsFor(destination, () => fetchWal({ repository, name, destination }));
  expect(fsyncs.file).toEqual([false]);
});

test("a prefetched segment is on disk before the server can take it", async () => {
  const spool = new WalSpool(join(folder, "lifeboat.spool"));
  await spool.acquire();
  const name = "000000010000000000000003";
  const fsyncs = await fsyncsFor(join(spool.directory, name), () => spool.put(name, once()));
  expect(fsyncs.file).toEqual([false]);
  expect(fsyncs.directory).toContain(true);
});

test("that WAL was given up is on disk before the server hears that it may remove it", async () => {
  const control = Buffer.alloc(8);
  control.writeBigUInt64LE(7n);
  await mkdir(join(folder, "data/global"), { recursive: true });
  await mkdir(join(folder, "data/pg_wal/archive_status"), { recursive: true });
  await writeFile(join(folder, "data/global/pg_control"), control);
  const path = join(folder, "data/pg_wal/00000002.history");
  await writeFile(path, once());
  await writeFile(join(folder, "data/pg_wal/archive_status/00000002.history.ready"), "");
  const away = () => Promise.reject(new LifeboatError({ code: "GONE", message: "", remedy: "" }));
  const note = join(folder, "data/pg_wal/lifeboat.given-up");
  const fsyncs = await fsyncsFor(note, () => pushWal({ repository: away, path, maxBacklog: 1 }));
  expect(fsyncs.file).toEqual([true]);
  expect(fsyncs.directory).toContain(true);
});

async function* once(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("1\t0/3000000\tno recovery target specified\n");
}
