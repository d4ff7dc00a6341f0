import {
  abortMigration,
  type LoadRequest,
  loadMigration,
  migrationStatus,
  planMigration,
  verifyMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("a load", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(
      cluster,
      "PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    );
  });
  afterEach(() => one.end());

  const tables = () =>
    one.query(
      "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
    );

  it("refuses a schema that is not empty, and touches nothing in it", async () => {
    await one.query("CREATE TABLE public.mine(x int)");
    await expect(one.load()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", kind: "refused" });
    expect(await tables()).toEqual([{ relname: "mine" }]);
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lifeboat'")).toEqual([]);
  });

  it.each([
    "VIEW mine AS SELECT 1 AS x",
    "MATERIALIZED VIEW mine AS SELECT 1 AS x",
    "SEQUENCE mine",
    "TYPE mine AS (x int)",
    "TYPE mine AS ENUM ('x')",
    "DOMAIN mine AS int",
    "TYPE mine AS RANGE (subtype = int)",
  ])("refuses a schema that holds nothing but a %s", async (object) => {
    await one.query(`CREATE SCHEMA shop; SET search_path = shop; CREATE ${object}`);
    one.schema = "shop";
    await expect(one.load()).rejects.toMatchObject({
      ...{ code: "TARGET_NOT_EMPTY", kind: "refused" },
      message: expect.stringContaining("it holds mine"),
    });
  });

  it("goes beside what extensions have brought along", async () => {
    const { pathname } = new URL(one.url);
    const wanted = ["pg_stat_statements", "cube", "earthdistance"];
    const found = await one.query<{ name: string }>(
      `SELECT name FROM pg_available_extensions WHERE name IN ('${wanted.join("', '")}') ORDER BY name`,
    );
    for (const { name } of found)
      await cluster.query(`CREATE EXTENSION ${name}`, pathname.slice(1));
    expect(await one.load()).toMatchObject({ rows: 2 });
  });

  it("and its plan say which right the role lacks, and keep nothing", async () => {
    await cluster.query("drop role if exists lifeboat_guest");
    await cluster.query("create role lifeboat_guest login password 'guest'");
    const url = new URL(one.url);
    url.username = "lifeboat_guest";
    url.password = "guest";
    const request = {
      sqlite: { path: one.path },
      postgres: { url: url.href },
      signal: new AbortController().signal,
    };
    for (const work of [planMigration, loadMigration])
      await expect(work(request)).rejects.toMatchObject({
        code: "TARGET_DENIED",
        message: expect.stringContaining("permission denied"),
      });
    expect(await one.query("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'lifeboat%'")).toEqual(
      [],
    );
  });

  it("says before it begins that the role may make no temporary tables, by which it would be followed", async () => {
    await cluster.query("drop role if exists lifeboat_guest");
    await cluster.query("create role lifeboat_guest login password 'guest'");
    const database = new URL(one.url).pathname.slice(1);
    await cluster.query(
      `ALTER DATABASE ${database} OWNER TO lifeboat_guest; REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC;
       REVOKE TEMPORARY ON DATABASE ${database} FROM lifeboat_guest`,
    );
    const request = (live: boolean) => ({
      sqlite: { path: one.path },
      postgres: { url: one.url.replace(/lifeboat(:[^@]*)?@/, "lifeboat_guest:guest@") },
      signal: new AbortController().signal,
      live,
    });
    await expect(loadMigration(request(true))).rejects.toMatchObject({
      ...{ code: "TARGET_DENIED", kind: "usage" },
      remedy: expect.stringContaining(`GRANT TEMPORARY ON DATABASE ${database} TO lifeboat_guest`),
    });
    const left = "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'lifeboat%'";
    expect(await one.query(left)).toEqual([]);
    // What is not followed needs none.
    expect(await loadMigration(request(false))).toMatchObject({ rows: 2 });
  });

  it("runs nothing of a schema lifeboat that a role of the product has made", async () => {
    await cluster.query("drop role if exists lifeboat_guest");
    await cluster.query("create role lifeboat_guest login password 'guest'");
    const { pathname } = new URL(one.url);
    await cluster.query(`GRANT CREATE ON DATABASE ${pathname.slice(1)} TO lifeboat_guest`);
    const guest = new pg.Client(one.url.replace(/lifeboat(:[^@]*)?@/, "lifeboat_guest:guest@"));
    await guest.connect();
    await guest.query(
      `CREATE SCHEMA lifeboat; CREATE TABLE lifeboat.ran(by text);
       CREATE FUNCTION lifeboat.evil() RETURNS text LANGUAGE sql AS 'INSERT INTO lifeboat.ran VALUES (current_user) RETURNING by';
       CREATE VIEW lifeboat.migrations AS SELECT lifeboat.evil() AS id, 'loaded' AS phase, now() AS started_at, now() AS finished_at,
         '{}'::json AS plan, NULL::json AS catalog, '{}'::json AS details;
       GRANT ALL ON SCHEMA lifeboat TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA lifeboat TO PUBLIC`,
    );
    const request = {
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
    };
    for (const work of [loadMigration, migrationStatus, abortMigration])
      await expect(work(request)).rejects.toMatchObject({
        code: "JOURNAL_FOREIGN",
        kind: "refused",
        details: { owner: "lifeboat_guest" },
      });
    expect((await guest.query("SELECT * FROM lifeboat.ran")).rows).toEqual([]);
    await guest.query("DROP SCHEMA lifeboat CASCADE");
    await guest.end();
    await cluster.query(`REVOKE ALL ON DATABASE ${pathname.slice(1)} FROM lifeboat_guest`);
  });

  it("goes into another schema when told to, and refuses to load twice", async () => {
    await one.query("CREATE TABLE public.mine(x int)");
    const request = {
      sqlite: { path: one.path },
      postgres: { url: one.url },
      schema: "Moved Here",
      signal: new AbortController().signal,
    };
    const report = await loadMigration(request);
    expect(report).toMatchObject({
      phase: "load",
      rows: 2,
      schema: "Moved Here",
      tables: [{ name: "t", rows: 2 }],
    });
    expect((await verifyMigration(request)).ok).toBe(true);
    await expect(loadMigration(request)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      remedy: expect.stringContaining("migrate verify"),
    });
  });

  it("ends what a run has committed that could not tell, where both sides are still equal", async () => {
    const load = (onEnd?: () => Promise<void>) =>
      loadMigration({
        sqlite: { path: one.path },
        postgres: { url: one.url },
        signal: new AbortController().signal,
        ...(onEnd && { onEnd }),
      });
    const away = () => Promise.reject(new Error("the repository is away"));
    await expect(load(away)).rejects.toThrow("the repository is away");
    one.sqlite("UPDATE t SET v = 'changed' WHERE id = 2");
    await expect(load()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    one.sqlite("UPDATE t SET v = 'b' WHERE id = 2");
    expect(await load()).toMatchObject({ rows: 2, findings: [{ id: "loaded-before" }] });
    await expect(load()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  });

  it("begins anew where what such a run has committed is gone or lies in another schema, and ends none that is logged", async () => {
    const load = (more: Partial<LoadRequest> = {}) =>
      loadMigration({
        ...{ sqlite: { path: one.path }, postgres: { url: one.url } },
        ...{ signal: new AbortController().signal, ...more },
      });
    const away = { onEnd: () => Promise.reject(new Error("the repository is away")) };
    await expect(load(away)).rejects.toThrow("the repository is away");
    await one.query("DROP TABLE public.t");
    expect(await load()).toMatchObject({ schema: "public", rows: 2, findings: [] });
    await one.query("DROP TABLE public.t");
    await expect(load(away)).rejects.toThrow("the repository is away");
    expect(await load({ schema: "other" })).toMatchObject({ schema: "other", findings: [] });
    const logged = { schema: "logged", live: true };
    await expect(load({ ...away, ...logged })).rejects.toThrow("the repository is away");
    await expect(load({ schema: "logged" })).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(await load(logged)).toMatchObject({ findings: [{ id: "loaded-before" }] });
  });

  it("leaves what another target's migration has made in SQLite alone, and names it", async () => {
    const request = (url: string) => ({
      ...{ sqlite: { path: one.path }, postgres: { url }, live: true },
      signal: new AbortController().signal,
    });
    const { id } = await loadMigration(request(one.url));
    const other = await migrationCase(cluster, "SELECT 1");
    try {
      await expect(loadMigration(request(other.url))).rejects.toMatchObject({
        code: "CAPTURED_BY_ANOTHER",
        kind: "refused",
        details: { migration: id },
      });
    } finally {
      await other.end();
    }
    expect(await migrationStatus(request(one.url))).toMatchObject({ captured: true, findings: [] });
  });

  it("keeps nothing when the SQLite database changed meanwhile, and says so", async () => {
    const load = loadMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
      run: async (steps) => {
        for (const step of steps) {
          if (step.title === "copy the rows") one.sqlite("UPDATE t SET v = 'changed' WHERE id = 2");
          await step.run(() => undefined);
        }
      },
    });
    await expect(load).rejects.toMatchObject({ code: "SOURCE_CHANGED", kind: "failed" });
    expect(await tables()).toEqual([]);
    expect((await one.load()).rows).toBe(2);
  });

  it("is not disturbed by a checkpoint, which changes no row", async () => {
    const db = new Database(one.path);
    await loadMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
      run: async (steps) => {
        for (const step of steps) {
          if (step.title === "copy the rows") db.pragma("wal_checkpoint(TRUNCATE)");
          await step.run(() => undefined);
        }
      },
    });
    db.close();
    expect(await tables()).toEqual([{ relname: "t" }]);
  });

  it("ends at a signal and leaves nothing", async () => {
    const stop = new AbortController();
    const load = loadMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: stop.signal,
      run: async (steps) => {
        for (const step of steps) {
          if (step.title === "build keys and indexes") stop.abort(new Error("stopped by the user"));
          await step.run(() => undefined);
        }
      },
    });
    await expect(load).rejects.toThrow("stopped by the user");
    expect(await tables()).toEqual([]);
  });

  it("ends at a signal although the server is busy with one long statement", async () => {
    const stop = new AbortController();
    const holder = new pg.Client(one.url);
    await holder.connect();
    await holder.query("BEGIN; CREATE TABLE public.t(in_the_way int)");
    const load = loadMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: stop.signal,
    });
    // The load waits for the other transaction to say whether its table will be there.
    for (;;) {
      const waiting = await cluster.query(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
      );
      if (waiting.length > 0) break;
    }
    stop.abort(new Error("stopped by the user"));
    await expect(load).rejects.toThrow("stopped by the user");
    await holder.end();
  });

  it("waits for another one on the same target, then gives way", async () => {
    const other = new pg.Client(one.url);
    await other.connect();
    await loadOnce(one);
    await other.query("SELECT pg_advisory_lock(5497853339122026)");
    const { rows } = await other.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await expect(one.load()).rejects.toMatchObject({
      code: "LOCKED",
      kind: "locked",
      message: expect.stringContaining(`process ${rows[0]?.pid} of lifeboat from `),
      remedy: expect.stringContaining(`pg_terminate_backend(${rows[0]?.pid})`),
    });
    await other.end();
  });

  it("says what is wrong with what it was given", async () => {
    const request = { postgres: { url: one.url }, signal: new AbortController().signal };
    await expect(
      loadMigration({ ...request, sqlite: { path: `${one.path}.not` } }),
    ).rejects.toMatchObject({
      code: "SQLITE_NOT_FOUND",
      kind: "usage",
    });
    await expect(verifyMigration({ ...request, sqlite: { path: one.path } })).rejects.toMatchObject(
      {
        code: "NOT_LOADED",
        kind: "not-found",
      },
    );
    one.choices = { "t.w": { type: "bytea" } };
    await expect(one.load()).rejects.toMatchObject({ code: "CHOICE_UNKNOWN", kind: "usage" });
    one.choices = { "t.v": { type: "bigint" } };
    await expect(one.load()).rejects.toMatchObject({ code: "CHOICE_IMPOSSIBLE", kind: "usage" });
    const nobody = one.url.replace(/\/\/[^@]*@/, "//nobody:secret-word@");
    const refused = loadMigration({
      ...request,
      sqlite: { path: one.path },
      postgres: { url: nobody },
    });
    await expect(refused).rejects.toMatchObject({ code: "POSTGRES_UNREACHABLE" });
    await expect(refused).rejects.not.toThrow(/secret-word/);
  });

  it("says of a server that lets nobody in what keeps it from doing so", async () => {
    await cluster.query("CREATE ROLE somebody LOGIN PASSWORD 'right'");
    const plain = cluster.superuserUrl.replace(/^[^@]*@/, "");
    const refused = (url: string) =>
      expect(planMigration({ sqlite: { path: one.path }, postgres: { url }, signal })).rejects;
    const { signal } = new AbortController();
    const saying = (remedy: string) => ({
      code: "POSTGRES_UNREACHABLE",
      remedy: expect.stringContaining(remedy),
    });
    await refused(`postgres://somebody:wrong@${plain}`).toMatchObject(saying("PGPASSWORD"));
    await refused(one.url.replace(/[^/]*$/, "nowhere")).toMatchObject(saying("create database"));
    await refused("postgres://somebody@127.0.0.1:1/app").toMatchObject(saying("postgres.url"));
  });

  async function loadOnce(made: MigrationCase): Promise<void> {
    await made.load();
  }
});
