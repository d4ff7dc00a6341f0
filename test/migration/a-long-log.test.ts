import { loadMigration, syncMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { LiveSource } from "../../packages/migrate/src/live-source.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

/** More than one short read takes, of which the log gets more entries than one look does. */
const ROWS = 11_000;
const UPDATES = 5;

let cluster: TestCluster;
let one: MigrationCase;
let product: Database.Database;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  one = await migrationCase(
    cluster,
    `CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT UNIQUE, v INTEGER DEFAULT 123456789);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) INSERT INTO t(id, code) SELECT i, 'code ' || i FROM n`,
  );
  await loadMigration({ ...request(), live: true });
  product = new Database(one.path);
  for (let update = 0; update < UPDATES; update++) product.exec("UPDATE t SET code = code || '.'");
});
afterEach(async () => {
  product.close();
  await one.end();
});

const request = () => ({
  ...{ sqlite: { path: one.path }, postgres: { url: one.url }, until: "caught-up" as const },
  signal: new AbortController().signal,
});

it("is brought in short reads between which values of a UNIQUE column may change hands", async () => {
  const plan = await one.plan();
  const { snapshot } = LiveSource.prototype;
  using read = vi.spyOn(LiveSource.prototype, "snapshot");
  let reads = 0;
  read.mockImplementation(function (this: LiveSource, ...args) {
    // Between the first rows, which are in Postgres by now, and the last.
    if (++reads === 2)
      product.exec(
        `UPDATE t SET code = 'free' WHERE id = 1; UPDATE t SET code = 'code 1.....' WHERE id = ${ROWS}`,
      );
    return snapshot.apply(this, args) as never;
  });
  await syncMigration(request());
  expect(reads).toBeGreaterThan(2);
  expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
});

it("is compared as it is brought: what Postgres makes otherwise of a row is refused", async () => {
  await one.query("ALTER TABLE public.t ALTER v TYPE real");
  await expect(syncMigration(request())).rejects.toMatchObject({ code: "NOT_APPLIED" });
  expect(await one.query("SELECT code FROM public.t WHERE id = 7")).toEqual([{ code: "code 7" }]);
});
