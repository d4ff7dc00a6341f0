import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { expectCleanPrefix, makeLedger, startBystander, startWriter } from "../support/sqlite.ts";
import { backedUp } from "../support/sqlite-repository.ts";

test.each([
  ["idle", "wal"],
  ["idle", "delete"],
  ["read", "wal"],
] as const)(
  "with force a database in use (%s, %s) gets the copy's content under its locks, file and all connections staying",
  async (behaviour, journalMode) => {
    const app = await backedUp({ journalMode });
    await startBystander(app.path, behaviour);
    const change = new Database(app.path);
    change.exec("UPDATE counter SET v = -1; DELETE FROM ledger; CREATE TABLE later(a)");
    const before = await stat(app.path);
    const report = await app.restore(app.folder, { force: true });
    expect(report.findings.map(({ id }) => id)).toContain("sqlite-restored-into-live");
    expect((await stat(app.path)).ino).toBe(before.ino);
    // A connection that was open all the time sees the restored state, and so does a new one.
    expect(change.prepare("SELECT v FROM counter").pluck().get()).toBe(50);
    expect(() => change.prepare("SELECT * FROM later")).toThrow(/no such table/);
    change.close();
    expect(expectCleanPrefix(app.path)).toBe(50);
    expect((await readdir(app.folder)).filter((name) => name.startsWith(".lifeboat"))).toEqual([]);
  },
);

test("with force a live database under traffic is replaced as one transaction, and its writer goes on from there", async () => {
  const app = await backedUp();
  const writer = await startWriter(app.path, { rate: 200 });
  await app.restore(app.folder, { force: true });
  // The writer's next commit counts on from its own number, over the restored rows.
  await writer.commits(20);
  const database = new Database(app.path, { readonly: true });
  expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
  expect(database.prepare("SELECT count(*) FROM ledger WHERE seq <= 50").pluck().get()).toBe(50);
  const [rows, newest] = database.prepare("SELECT count(*), max(seq) FROM ledger").raw().get() as [
    number,
    number,
  ];
  expect(rows).toBeLessThan(newest);
  database.close();
});

test.each([
  ["read", "delete"],
  ["write", "wal"],
  ["write", "delete"],
  ["exclusive", "wal"],
] as const)(
  "with force a database whose locks let nobody in (%s, %s) is refused and left alone",
  async (behaviour, journalMode) => {
    const app = await backedUp({ journalMode }, { lockPatienceMs: 300 });
    const bystander = await startBystander(app.path, behaviour);
    const before = (await stat(app.path)).ino;
    await expect(app.restore(app.folder, { force: true })).rejects.toMatchObject({
      code: "DATABASE_IN_USE",
      kind: "refused",
    });
    expect((await stat(app.path)).ino).toBe(before);
    await bystander.kill();
    await app.restore(app.folder, { force: true });
    expect(expectCleanPrefix(app.path)).toBe(50);
  },
);

test("with force a live database with pages of another size is refused", async () => {
  const app = await backedUp({ pageSize: 4096 });
  const to = join(app.folder, "other");
  await mkdir(to);
  makeLedger(join(to, "app.db"), { pageSize: 8192 });
  await startBystander(join(to, "app.db"), "idle");
  await expect(app.restore(to, { force: true })).rejects.toMatchObject({
    code: "DATABASE_IN_USE",
    message: expect.stringContaining("8192"),
  });
});
