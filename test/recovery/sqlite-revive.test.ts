import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { drill, type RevivedDatabase } from "@lifeboat/core";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { makeLedger, overwrite, startWriter, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { StatementWatch } from "../support/statement-watch.ts";

/** Backs up a database, restores it, and brings the copy to life. */
async function revived(shape: string): Promise<{ copy: RevivedDatabase; path: string }> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const database = new Database(app.path);
  database.pragma("foreign_keys = off");
  database.unsafeMode();
  database.function("app_only", { deterministic: true }, (value) => value);
  database.exec(shape);
  database.close();
  await app.backup();
  const { folder: databaseFolder, manifests } = await app.manifests();
  const plan = await app.engine.plan(databaseFolder, manifests, { kind: "latest" }, {});
  const common = {
    folder: databaseFolder,
    plan,
    report: () => {},
    signal: AbortSignal.timeout(9e6),
  };
  const restored = await app.engine.restore({
    ...common,
    to: join(folder, "to"),
    tablespaceMapping: new Map(),
    tablespaceRoot: null,
    force: false,
    fetchCommand: [],
  });
  const copy = await app.engine.revive({ ...common, restored });
  onTestFinished(() => copy.close());
  return { copy, path: restored.path };
}

test("a sound copy is proved sound, answers what is asked, and is not written to", async () => {
  const { copy, path } = await revived(
    "CREATE TABLE t(a); INSERT INTO t VALUES (9007199254740993)",
  );
  const digest = async () =>
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  const before = { digest: await digest(), mtime: (await stat(path)).mtimeMs };
  expect(await copy.prove()).toEqual([
    { name: "integrity_check", ok: true, message: "ok" },
    { name: "foreign_key_check", ok: true, message: "ok" },
  ]);
  expect(await copy.query("SELECT count(*) > 0, 'text', 1.5, NULL FROM ledger", "app")).toEqual([
    [1, "text", 1.5, null],
  ]);
  expect(await copy.query("SELECT a FROM t")).toEqual([[9007199254740993n]]);
  expect(copy.recoveredLsn).toBeNull();
  expect(Date.parse(String(copy.recoveredTo))).toBeGreaterThan(0);
  await copy.close();
  await copy.close();
  expect(await readdir(join(path, ".."))).toEqual(["app.db"]);
  expect({ digest: await digest(), mtime: (await stat(path)).mtimeMs }).toEqual(before);
});

test("a statement that writes, gives nothing or is wrong, and another database, are refused", async () => {
  const { copy } = await revived("");
  for (const sql of [
    "DELETE FROM ledger",
    "BEGIN",
    "SELECT none FROM ledger",
    "",
    "DROP TABLE ledger",
  ])
    await expect(copy.query(sql), sql).rejects.toMatchObject({ code: "QUERY_FAILED" });
  await expect(
    copy.query("INSERT INTO ledger VALUES (99, 'x') RETURNING seq"),
  ).rejects.toMatchObject({ code: "QUERY_FAILED" });
  await expect(copy.query("SELECT 1", "other")).rejects.toMatchObject({ code: "DATABASE_UNKNOWN" });
});

test("rows without their parent are told, and are no damage", async () => {
  const { copy } = await revived(`
    CREATE TABLE parents(id INTEGER PRIMARY KEY);
    CREATE TABLE children(parent INTEGER REFERENCES parents(id));
    INSERT INTO children VALUES (1), (2);
  `);
  expect((await copy.prove())[1]).toEqual({
    name: "foreign_key_check",
    ok: true,
    message: "2 rows refer to a parent that is not there",
  });
});

test("an index that differs from its table keeps a copy from getting its name", async () => {
  const restored = revived(`
    CREATE TABLE t(a, b);
    CREATE INDEX i ON t(a);
    INSERT INTO t VALUES (1, 2);
    PRAGMA writable_schema = on;
    UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(b)' WHERE name = 'i';
  `);
  await expect(restored).rejects.toMatchObject({
    code: "RESTORED_COPY_DAMAGED",
    message: expect.stringContaining("index i"),
  });
});

test("a table that only the app can read is named, and the rest is checked", async () => {
  const { copy } = await revived("CREATE TABLE t(a); CREATE INDEX i ON t(app_only(a))");
  expect((await copy.prove())[0]).toEqual({
    name: "integrity_check",
    ok: true,
    message: expect.stringMatching(/^not checked: t: unknown function: app_only/),
  });
});

test("a drill of a database under traffic passes its checks and leaves nothing", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  await startWriter(app.path);
  const { consistentAt } = await app.backup();
  const sql = "SELECT count(*) = (SELECT v FROM counter) FROM ledger";
  const report = await drill({
    repository: await app.repository(),
    engines: [app.engine],
    target: { kind: "latest" },
    checks: () => [{ name: "rows are counted", sql }],
    keep: false,
    signal: AbortSignal.timeout(60_000),
  });
  expect(report.checks.map(({ name, ok }) => [name, ok])).toEqual([
    ["integrity_check", true],
    ["foreign_key_check", true],
    ["rows are counted", true],
  ]);
  expect(report).toMatchObject({ ok: true, recoveredTo: consistentAt, kept: null });
});

test("a drill runs integrity_check once, and what it finds in a damaged source is an answer that is recorded", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { rows: 200 });
  await overwrite(app.path, 40 * 4096, Buffer.alloc(4096, 7));
  await app.backup();
  const repository = await app.repository();
  using statements = new StatementWatch();
  const report = await drill({
    repository,
    engines: [app.engine],
    target: { kind: "latest" },
    checks: () => [],
    keep: false,
    signal: AbortSignal.timeout(60_000),
  });
  expect(statements.heard.filter((sql) => /integrity_check|quick_check/.test(sql))).toHaveLength(1);
  expect(report).toMatchObject({
    ok: false,
    checks: [{ name: "integrity_check", ok: false }, { name: "foreign_key_check" }],
  });
  expect((await repository.drills()).records).toMatchObject([{ ok: false, id: report.id }]);
});
