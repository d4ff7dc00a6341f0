import { loadMigration } from "@lifeboat/migrate";
import pg from "pg";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from "vitest";
import { connectTarget } from "../../packages/migrate/src/target/connect.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { TransactionPooler } from "../support/transaction-pooler.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

const HOSTILE = [
  "datestyle = 'German, DMY'",
  "timezone = 'America/New_York'",
  "standard_conforming_strings = off",
  "extra_float_digits = -15",
  "search_path = planted, public, pg_catalog",
  "bytea_output = 'escape'",
  "client_encoding = 'LATIN1'",
  "statement_timeout = '1s'",
  "lock_timeout = '1s'",
  "idle_in_transaction_session_timeout = '1s'",
  "quote_all_identifiers = on",
  "default_transaction_isolation = 'serializable'",
];

describe("a target database with settings of its own", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, r REAL, at DATETIME, x TEXT DEFAULT 'a\\b', b BLOB);
       INSERT INTO t VALUES (1, 0.1, '2024-07-01 02:30:00', 'é\\', x'00ff')`,
    );
  });
  afterEach(() => one.end());

  const set = (setting: string) =>
    one.query(`ALTER DATABASE ${new URL(one.url).pathname.slice(1)} SET ${setting}`);

  it("is loaded and verified as any other, whatever it sets for its sessions", async () => {
    await one.query(`CREATE SCHEMA planted`);
    await one.query(`CREATE FUNCTION planted.pg_backend_pid() RETURNS int RETURN 1 / 0`);
    for (const setting of HOSTILE) await set(setting);
    await one.load();
    expect((await one.verify()).findings).toEqual([]);
    const client = await connectTarget({ url: one.url });
    onTestFinished(() => client.end());
    // A second would pass for none here, and end a load of hours.
    const bounds = "('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')";
    expect(
      (await client.query(`SELECT setting FROM pg_settings WHERE name IN ${bounds}`)).rows,
    ).toEqual([{ setting: "0" }, { setting: "0" }, { setting: "0" }]);
  });

  it("has its indexes built by several workers, though its sessions are set to none", async () => {
    const database = new URL(one.url).pathname.slice(1);
    for (const setting of [
      "max_parallel_maintenance_workers = 0",
      "min_parallel_table_scan_size = 0",
      "log_min_messages = debug1",
    ])
      await cluster.query(`ALTER DATABASE ${database} SET ${setting}`);
    await one.load();
    expect(cluster.server.log.lines().join("\n")).toMatch(
      /building index "t_pkey" on table "t" with request for [1-9] parallel worker/,
    );
  });

  it("is refused through a pooler that gives each transaction another session, before anything is set there", async () => {
    await using pooler = await TransactionPooler.start(one.url);
    const postgres = { url: pooler.through(one.url) };
    const load = loadMigration({
      sqlite: { path: one.path },
      postgres,
      signal: new AbortController().signal,
    });
    await expect(load).rejects.toMatchObject({ code: "POOLED_CONNECTION", kind: "usage" });
    const product = new pg.Client(postgres.url);
    await product.connect();
    const { rows } = await product.query("SELECT current_setting('lifeboat.own_session', true)");
    expect(rows).toEqual([{ current_setting: null }]);
    await product.end();
  });

  it("is refused by name where its sessions may only read", async () => {
    await set("default_transaction_read_only = on");
    await expect(one.plan()).rejects.toMatchObject({ code: "TARGET_READ_ONLY" });
    await expect(one.load()).rejects.toMatchObject({ code: "TARGET_READ_ONLY" });
  });

  it("is planned though it has a schema of the name that a trial could bear", async () => {
    await one.query("CREATE SCHEMA lifeboat_trial");
    await one.loadFaithfully();
  });

  it("is refused by name where schema lifeboat holds another's journal", async () => {
    await one.query("CREATE SCHEMA lifeboat");
    await one.query("CREATE TABLE lifeboat.migrations(x int)");
    await expect(one.load()).rejects.toMatchObject({ code: "TARGET_REFUSED" });
    await expect(one.verify()).rejects.toMatchObject({ code: "TARGET_REFUSED" });
  });
});
