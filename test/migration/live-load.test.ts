import { loadMigration, syncMigration } from "@lifeboat/migrate";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { LIVE_SCHEMA, startLiveWriter } from "./cutover-case.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("a load while the product writes", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
  }, 60_000);
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(cluster, LIVE_SCHEMA);
  });
  afterEach(() => one.end());

  const request = () => ({
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal: new AbortController().signal,
  });

  it("holds all that was acknowledged once the writer is still and the rest was brought", async () => {
    const plan = await one.plan();
    const writer = await startLiveWriter(one);
    const loaded = await loadMigration({ ...request(), live: true });
    expect(loaded.rows).toBeGreaterThan(20_000);
    await syncMigration({ ...request(), until: "caught-up" });
    await writer.stop();
    const { waiting } = await syncMigration({ ...request(), until: "caught-up" });
    expect(waiting).toBe(0);
    const { differences } = await compareIndependently(one.path, one.url, plan);
    expect(differences).toEqual([]);
    const rows = await one.query<{ seq: string }>(
      "SELECT seq FROM ledger WHERE seq > 0 ORDER BY seq",
    );
    expect(rows.map((row) => Number(row.seq))).toEqual(writer.acknowledged());
  });
});
