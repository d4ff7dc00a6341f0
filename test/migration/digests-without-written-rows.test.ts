import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { logEnd } from "../../packages/migrate/src/capture/change-log.ts";
import { compareKeyed } from "../../packages/migrate/src/compare/compare-keyed.ts";
import { Differences } from "../../packages/migrate/src/compare/differences.ts";
import {
  type DigestForm,
  digestInPostgres,
  digestInSqlite,
} from "../../packages/migrate/src/compare/digest-rows.ts";
import { LiveSides } from "../../packages/migrate/src/compare/live-sides.ts";
import { LoggedWrites } from "../../packages/migrate/src/compare/logged-writes.ts";
import { rowCanon } from "../../packages/migrate/src/compare/row-canon.ts";
import { keyTerms } from "../../packages/migrate/src/compare/row-key.ts";
import { WrittenKeys } from "../../packages/migrate/src/compare/written-keys.ts";
import { defineFunctions } from "../../packages/migrate/src/sqlite/define-functions.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { liveCase } from "./live-case.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

const WHOLE = { from: null, to: null };
const EVERYWHERE = { where: "", values: [] };

/** A connection to either side, and what a comparison of the one table takes. */
async function bothSides({ url, product: db, migrated }: Awaited<ReturnType<typeof liveCase>>) {
  const client = new pg.Client(url);
  await client.connect();
  onTestFinished(() => client.end());
  defineFunctions(db);
  const [table] = migrated.tables;
  if (!table) throw new Error("no table was migrated");
  const { signal } = new AbortController();
  const input = { db, client, schema: "public", table, report: () => undefined, signal };
  return { db, client, table, input };
}

describe("the digests of a part without the rows that were written since", () => {
  it.each([
    ["numbers", "k INTEGER PRIMARY KEY", "n"],
    ["texts", "k TEXT PRIMARY KEY", "'ké,y ' || n"],
    ["texts of any case", "k TEXT COLLATE NOCASE PRIMARY KEY", "'Key ' || n"],
    ["broken numbers", "k REAL PRIMARY KEY", "n / 7.0"],
    ["bytes", "k BLOB PRIMARY KEY", "CAST('x' || n AS BLOB)"],
    ["numbers and texts mixed", "k PRIMARY KEY", "CASE WHEN n % 2 THEN n ELSE 'z' || n END"],
    ["two columns", "k INT, l TEXT DEFAULT 'l', PRIMARY KEY (k, l)", "n"],
  ])(
    "are equal on both sides, and differ by any other row; keys of %s",
    async (_, columns, key) => {
      const one = await liveCase(
        cluster,
        `CREATE TABLE t(v INT, ${columns});
       WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 40) INSERT INTO t(k, v) SELECT ${key}, n FROM n`,
      );
      onTestFinished(() => one.end());
      const { db, table, input } = await bothSides(one);
      const digests = async (byRow: boolean) => {
        const form: DigestForm = { terms: keyTerms(table), canon: rowCanon(table), byRow };
        const written = new LoggedWrites(db, new WrittenKeys(db, one.migrated), 0n);
        const { count, keys } = written.within(table, WHOLE, 0);
        const here = digestInSqlite(input, form, EVERYWHERE, keys);
        return { count, here, there: await digestInPostgres(input, form, EVERYWHERE, keys) };
      };
      db.exec(
        `UPDATE t SET v = -v WHERE v IN (1, 17); UPDATE t SET v = v - 100 WHERE v = -1; DELETE FROM t WHERE v = 9; INSERT INTO t(v, k) SELECT 41, ${key.replaceAll(/\bn\b/g, "41")}`,
      );
      for (const byRow of [false, true]) {
        const { count, here, there } = await digests(byRow);
        expect([count, here.rows, there.rows]).toEqual([4, 40, 40]);
        expect(here.digest).toBe(there.digest);
      }
      one.unlogged("UPDATE t SET v = 1000 WHERE v = 20");
      for (const byRow of [false, true]) {
        const { here, there } = await digests(byRow);
        expect(here.digest).not.toBe(there.digest);
      }
    },
  );

  it("go on from look to look: what was written again is left out, and what is brought no more", async () => {
    const one = await liveCase(
      cluster,
      "CREATE TABLE t(k TEXT PRIMARY KEY, v INT); INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3)",
    );
    onTestFinished(() => one.end());
    const db = one.product;
    defineFunctions(db);
    const [table] = one.migrated.tables;
    if (!table) throw new Error("no table was migrated");
    const keys = new WrittenKeys(db, one.migrated);
    const look = (watermark: bigint) => {
      const written = new LoggedWrites(db, keys, watermark);
      const shown = written
        .within(table, WHOLE, 10)
        .rows.map((row) => row.shown)
        .toSorted();
      expect(written.any(table)).toBe(shown.length > 0);
      return shown;
    };
    const write = (key: string) => {
      db.prepare("UPDATE t SET v = v + 1 WHERE k = ?").run(key);
      return logEnd(db) ?? 0n;
    };
    expect(look(0n)).toEqual([]);
    write("b");
    write("a");
    expect(look(0n)).toEqual(["a", "b"]);
    const watermark = write("c");
    write("a");
    expect(look(0n)).toEqual(["a", "b", "c"]);
    expect(look(watermark)).toEqual(["a"]);
    const last = logEnd(db) ?? 0n;
    expect(look(last)).toEqual([]);
    write("c");
    expect(look(last)).toEqual(["c"]);
  });
});

it("looks at a part of very many rows that differs in smaller ones, however many Postgres has there, and names what one look at all would", async () => {
  const one = await liveCase(
    cluster,
    `CREATE TABLE t(k TEXT PRIMARY KEY, v INT);
     WITH RECURSIVE n(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM n WHERE n < 69) INSERT INTO t SELECT CASE n % 2 WHEN 1 THEN 'Key ' ELSE 'key ' END || n, n FROM n`,
  );
  onTestFinished(() => one.end());
  const { db, client, input } = await bothSides(one);
  const sides = new LiveSides(db, client, { id: one.id, plan: one.migrated });
  one.unlogged("DELETE FROM t WHERE k = 'Key 11'; INSERT INTO t VALUES (NULL, 0)");
  db.exec("UPDATE t SET v = -1 WHERE k IN ('Key 15', 'key 60')");
  await one.query(
    "UPDATE t SET v = 7 WHERE k = 'Key 21'; DELETE FROM t WHERE k = 'Key 69'; INSERT INTO t VALUES ('zz', 1)",
  );
  const differences = new Differences();
  const asked = vi.spyOn(client, "query");
  const sizes = { chunkRows: 20, partRows: 6 };
  await compareKeyed({ ...input, sides }, differences, { isIndexed: false, sizes });
  expect(differences.found.map(({ key, kind }) => `${key} ${kind}`)).toEqual([
    "Key 11 missing-in-sqlite",
    "Key 21 different",
    "Key 69 missing-in-postgres",
    "zz missing-in-sqlite",
    " missing-in-postgres",
  ]);
  expect([differences.here, differences.there]).toEqual([60, 60]);
  expect([...differences.inFlight.rows.values()].toSorted()).toEqual(["Key 15", "key 60"]);
  const most = async () => {
    const answers: { rows: unknown[] }[] = await Promise.all(
      asked.mock.results.map((r) => r.value),
    );
    return Math.max(...answers.map(({ rows }) => rows.length));
  };
  // A row of Postgres that SQLite lacks comes on top of those of a part.
  expect(await most()).toBe(7);
  await one.query("INSERT INTO t SELECT 'zz' || n, n FROM generate_series(1, 4500) AS n");
  const more = new Differences();
  await compareKeyed({ ...input, sides }, more, { isIndexed: false, sizes });
  expect(more.count).toBe(differences.count + 4500);
  expect(await most()).toBe(2000);
});
