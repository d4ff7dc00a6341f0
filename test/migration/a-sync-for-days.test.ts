import { loadMigration, type SyncRequest, syncMigration, verifyMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Forward } from "../../packages/migrate/src/forward/forward.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { UnreliableProxy } from "../support/unreliable-proxy.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("a sync that runs for days", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  let stop: AbortController;
  const log: string[] = [];
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(
      cluster,
      "PRAGMA journal_mode = WAL; CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT); CREATE TABLE words(word TEXT PRIMARY KEY)",
    );
    await loadMigration({ ...request(), live: true });
    stop = new AbortController();
    log.length = 0;
  });
  afterEach(() => one.end());

  const request = () => ({
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal: new AbortController().signal,
  });
  const sync = (more: Partial<SyncRequest> = {}) =>
    syncMigration({ ...request(), signal: stop.signal, log: (line) => log.push(line), ...more });
  const write = (rows = 1) =>
    one.sqlite(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
       INSERT INTO ledger(body) SELECT 'row' FROM n`,
    );
  const rows = async () => (await one.query("SELECT 1 FROM ledger")).length;
  const locks = async () =>
    (
      await one.query(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      )
    ).length;
  const ask = (sql: string) => {
    const db = new Database(one.path);
    try {
      return db.prepare(sql).pluck().get();
    } finally {
      db.close();
    }
  };

  it("leaves one entry of SQLite's log, however much it brought", async () => {
    const running = sync();
    for (const more of [1, 12_000, 3]) {
      write(more);
      const last = ask("SELECT max(seq) FROM lifeboat_log");
      await expect.poll(() => ask("SELECT min(seq) FROM lifeboat_log")).toBe(last);
    }
    stop.abort();
    expect((await running).rows).toBe(12_004);
    expect(await rows()).toBe(12_004);
  });

  it("stops where Postgres was set back to an earlier state, and a verification says why: SQLite has forgotten what is missing there", async () => {
    write();
    await sync({ until: "caught-up" });
    const [then] = await one.query<{ details: string }>(
      "SELECT details::text FROM lifeboat.migrations",
    );
    write();
    write();
    await sync({ until: "caught-up" });
    await one.query(
      `DELETE FROM ledger WHERE seq > 1; UPDATE lifeboat.migrations SET details = '${then?.details}'`,
    );
    write();
    const { findings } = await verifyMigration({
      ...request(),
      patience: { total: 1000, idle: 100 },
    });
    expect(findings).toContainEqual(
      expect.objectContaining({ id: "postgres-set-back", severity: "error" }),
    );
    const setBack = { code: "POSTGRES_SET_BACK", remedy: expect.stringContaining("load anew") };
    await expect(sync({ until: "caught-up" })).rejects.toMatchObject(setBack);
    expect(await rows()).toBe(1);
  });

  it("stops at a key that is NULL, which SQLite allows and Postgres does not", async () => {
    one.sqlite("INSERT INTO words VALUES (NULL)");
    await expect(sync({ until: "caught-up" })).rejects.toMatchObject({
      code: "TARGET_REFUSED_ROWS",
      message: expect.stringContaining("a row of words, for its word (SQLSTATE 23502)"),
    });
    one.sqlite("UPDATE words SET word = 'a'");
    await sync({ until: "caught-up" });
    expect(await one.query("SELECT word FROM words")).toEqual([{ word: "a" }]);
  });

  it("goes on while the product holds SQLite's write lock for long, and waits for none of it", async () => {
    const running = sync();
    const product = new Database(one.path);
    product.exec("INSERT INTO ledger(body) VALUES ('brought'); BEGIN IMMEDIATE");
    await expect.poll(rows).toBe(1);
    product.exec("INSERT INTO ledger(body) VALUES ('after long'); COMMIT");
    product.close();
    await expect.poll(rows).toBe(2);
    stop.abort();
    expect(await running).toMatchObject({ rows: 2, waiting: 0 });
  });

  it("lets go of SQLite while somebody locks the tables in Postgres, names him once, and goes on", async () => {
    const running = sync();
    const holder = new pg.Client(one.url);
    await holder.connect();
    await holder.query("BEGIN; LOCK TABLE ledger IN EXCLUSIVE MODE");
    const { rows: found } = await holder.query("SELECT pg_backend_pid() AS pid");
    write();
    await expect.poll(() => log.length).toBe(1);
    expect(log[0]).toMatch(
      /^sync: nothing is brought over since .*: the tables are locked in Postgres/,
    );
    expect(log[0]).toContain(
      `process ${found[0]?.pid} of lifeboat holds ExclusiveLock on public.ledger`,
    );
    // A reader that holds its snapshot all the time would never let this end.
    const whole = () => ask("PRAGMA wal_checkpoint(TRUNCATE)");
    await expect.poll(whole).toBe(0);
    await holder.end();
    await expect.poll(rows).toBe(1);
    stop.abort();
    await running;
    expect(log).toEqual([
      log[0],
      expect.stringMatching(/^sync: at work again after .* nothing is lost$/),
    ]);
  });

  it("hands over to a cutover that takes over while it prepares its session", async () => {
    const begin = Forward.prototype.begin;
    using _ = vi.spyOn(Forward.prototype, "begin").mockImplementation(async function (
      this: Forward,
    ) {
      await one.query("UPDATE lifeboat.migrations SET phase = 'cutting-over'");
      await begin.call(this);
    });
    const running = sync();
    const phase = () => one.query("SELECT phase FROM lifeboat.migrations");
    await expect.poll(phase).toEqual([{ phase: "cutting-over" }]);
    await expect.poll(locks).toBe(0);
    await one.query("UPDATE lifeboat.migrations SET phase = 'cut-over'");
    expect(await running).toMatchObject({ rows: 0, batches: 0 });
  });

  it("ends at its signal while it stands by for a cutover", async () => {
    const running = sync();
    await expect.poll(locks).toBe(1);
    await one.query("UPDATE lifeboat.migrations SET phase = 'cutting-over'");
    await expect.poll(locks).toBe(0);
    stop.abort();
    await running;
  });

  it("ends at its signal though the server answers nothing any more", async () => {
    await using proxy = await UnreliableProxy.start(cluster.port);
    const running = sync({ postgres: { url: proxy.through(one.url) } });
    write();
    await expect.poll(rows).toBe(1);
    proxy.silence();
    stop.abort();
    expect((await running).rows).toBe(1);
  });

  it("waits for a connection of its own that the server still takes for alive", async () => {
    await using proxy = await UnreliableProxy.start(cluster.port);
    const running = sync({ postgres: { url: proxy.through(one.url) } });
    write();
    await expect.poll(rows).toBe(1);
    proxy.cutClients();
    write();
    // By when it began to wait: it tries again and again.
    const tries = new Set<string>();
    const tried = async () => {
      const found = await cluster.query<{ at: string }>(
        "SELECT query_start::text AS at FROM pg_stat_activity WHERE wait_event = 'advisory'",
      );
      for (const { at } of found) tries.add(at);
      return tries.size;
    };
    await expect.poll(tried).toBe(2);
    proxy.noticeCuts();
    await expect.poll(rows).toBe(2);
    stop.abort();
    await running;
    expect(log).toHaveLength(2);
  });
});
