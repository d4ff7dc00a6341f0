import { loadMigration, migrationStatus, syncMigration } from "@lifeboat/migrate";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cutAtCommit } from "../support/cut-at-commit.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

let cluster: TestCluster;
let one: MigrationCase;
beforeAll(async () => {
  cluster = await startCluster();
  one = await migrationCase(
    cluster,
    "CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT); INSERT INTO ledger(body) VALUES ('old')",
  );
});
afterAll(async () => {
  await one.end();
  await cluster.stop();
});

it("a load whose connection breaks as it is committed is loaded, ended by the next one, and followed", async () => {
  const proxy = await cutAtCommit(cluster.port);
  const request = {
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal: new AbortController().signal,
  };
  const url = one.url.replace(`:${cluster.port}/`, `:${proxy.port}/`);
  await expect(loadMigration({ ...request, postgres: { url }, live: true })).rejects.toMatchObject({
    code: "POSTGRES_LOST",
    message: expect.stringContaining("while the load was committed"),
    remedy: expect.stringContaining("run lifeboat migrate load again"),
  });
  proxy.stop();
  const { phase, captured } = await migrationStatus(request);
  expect([phase, captured]).toEqual(["loaded", true]);
  const again = () => loadMigration({ ...request, live: true });
  expect(await again()).toMatchObject({
    rows: 1,
    bytes: 0,
    findings: [{ id: "loaded-before", severity: "info" }],
  });
  await expect(again()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  one.sqlite("INSERT INTO ledger(body) VALUES ('written since')");
  await syncMigration({ ...request, until: "caught-up" });
  expect(await one.query("SELECT body FROM ledger ORDER BY seq")).toEqual([
    { body: "old" },
    { body: "written since" },
  ]);
});
