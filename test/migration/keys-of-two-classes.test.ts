import { type Choice, loadMigration, syncMigration } from "@lifeboat/migrate";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { migrationCase } from "./migration-case.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

/** Loads, lets the product write, follows, and names what is different then. */
async function differencesAfter(
  sql: string,
  writes: string,
  choices: Record<string, Choice> = {},
): Promise<string[]> {
  const one = await migrationCase(cluster, sql);
  onTestFinished(() => one.end());
  one.choices = choices;
  const plan = await one.plan();
  const request = {
    sqlite: { path: one.path },
    postgres: { url: one.url },
    choices,
    signal: new AbortController().signal,
  };
  await loadMigration({ ...request, live: true });
  one.sqlite(writes);
  await syncMigration({ ...request, until: "caught-up" });
  return (await compareIndependently(one.path, one.url, plan)).differences;
}

it("brings a row once whose key has become the same number of another class, which are two keys in Postgres", async () => {
  expect(
    await differencesAfter(
      "CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), ('x', 'b')",
      "UPDATE t SET k = 1.0 WHERE k = 1",
      { "t.k": { codec: "tagged" } },
    ),
  ).toEqual([]);
});

it("compares a row once that the log names by two keys of SQLite, which are one in Postgres", async () => {
  expect(
    await differencesAfter(
      "CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (1.5, 'b')",
      "UPDATE t SET k = 1.0 WHERE k = 1; UPDATE t SET k = 1 WHERE k = 1.0",
    ),
  ).toEqual([]);
});
