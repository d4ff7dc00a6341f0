import { loadMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

/** Three tables that are each read by the thread for large ones, in each way: joined by rowid, one by one, by key; with BLOBs and without. */
const LARGE = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE joined(id INTEGER PRIMARY KEY, at REAL, note TEXT);
  CREATE TABLE captures(id INTEGER PRIMARY KEY, body BLOB NOT NULL, headers TEXT);
  CREATE TABLE words(word TEXT PRIMARY KEY, meaning TEXT) WITHOUT ROWID;
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
    INSERT INTO joined SELECT i, i / 7.0, 'a note of some length, with a tab' || char(9) || ' and a number ' || hex(i) FROM n;
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)
    INSERT INTO captures SELECT i, randomblob(700000 + i), '{"n": ' || i || '}' FROM n;
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
    INSERT INTO words SELECT 'word ' || hex(i), hex(randomblob(500)) FROM n;`;

describe("a live load of large tables", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(cluster, LARGE);
  });
  afterEach(() => one.end());

  const request = (signal = new AbortController().signal) => ({
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal,
    live: true,
  });

  it("copies each of them whole", async () => {
    const plan = await one.plan();
    const { tables } = await loadMigration(request());
    // So many bytes that none of them was small enough to be read beside.
    for (const { bytes } of plan.tables) expect(bytes).toBeGreaterThan(4 * 1024 * 1024);
    expect(tables.map(({ name, rows }) => [name, rows])).toEqual([
      ["joined", 60_000],
      ["captures", 12],
      ["words", 6_000],
    ]);
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("names a value that came since the profile and that the plan has no place for, and keeps nothing", async () => {
    const product = new Database(one.path);
    let steps = 0;
    const failing = loadMigration({
      ...request(),
      async run(all) {
        for (const step of all) {
          if (step.title === "log the product's writes")
            product.exec("UPDATE joined SET at = 'no number' WHERE id = 59999");
          steps++;
          await step.run(() => undefined);
        }
      },
    });
    await expect(failing).rejects.toMatchObject({
      code: "VALUE_NOT_PLANNED",
      message: expect.stringContaining("joined.at holds a value of class text"),
    });
    product.close();
    expect(steps).toBeGreaterThan(3);
    expect(await one.query("SELECT relname FROM pg_class WHERE relname = 'joined'")).toEqual([]);
  });

  it("ends soon when it is told to while it reads, and leaves SQLite as it was", async () => {
    const stop = new AbortController();
    const loading = loadMigration({
      ...request(stop.signal),
      async run(all) {
        for (const step of all)
          await step.run((progress) => {
            if (step.title === "copy the rows" && (progress.bytes ?? 0) > 1_000_000) stop.abort();
          });
      },
    });
    await expect(loading).rejects.toThrow(/abort/);
    const product = new Database(one.path);
    expect(
      product.prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'lifeboat*'").all(),
    ).toEqual([]);
    product.close();
  });
});
