import { type LoadReport, loadMigration } from "@lifeboat/migrate";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("a copy that breaks in its middle", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeEach(async () => {
    cluster = await startCluster();
    one = await migrationCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT, b BLOB);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
       INSERT INTO t SELECT i, 'body of row number ' || i, randomblob(200) FROM n`,
    );
  });
  afterEach(async () => {
    await one.end();
    await cluster.stop();
  });

  /** Loads, and calls `fault` once when the first rows are on their way. */
  function loadWith(fault: () => void, signal = new AbortController().signal): Promise<LoadReport> {
    let done = false;
    return loadMigration({
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal,
      run: async (steps) => {
        for (const step of steps)
          await step.run(({ bytes }) => {
            if (bytes === undefined || done) return;
            done = true;
            fault();
          });
      },
    });
  }

  const tables = () => one.query("SELECT 1 FROM pg_class WHERE relname = 't'");

  it("because of a signal leaves nothing", async () => {
    const stop = new AbortController();
    await expect(loadWith(() => stop.abort(new Error("stopped")), stop.signal)).rejects.toThrow(
      "stopped",
    );
    expect(await tables()).toEqual([]);
    expect((await one.load()).rows).toBe(40_000);
  });

  it("because the server ends the connection leaves nothing, and says so", async () => {
    const load = loadWith(() => {
      void cluster.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lifeboat migrate'",
      );
    });
    await expect(load).rejects.toMatchObject({ code: "POSTGRES_LOST" });
    expect(await tables()).toEqual([]);
    expect((await one.load()).rows).toBe(40_000);
  });

  it("because the server dies leaves nothing once it is back", async () => {
    await expect(loadWith(() => void cluster.crash())).rejects.toMatchObject({
      code: "POSTGRES_LOST",
    });
    await cluster.restart();
    const url = one.url.replace(/:\d+\/(?=[^/]*$)/, `:${cluster.port}/`);
    const report = await loadMigration({
      sqlite: { path: one.path },
      postgres: { url },
      signal: new AbortController().signal,
    });
    expect(report.rows).toBe(40_000);
  });
});
