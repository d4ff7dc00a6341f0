import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import type { MigrationPlan } from "../src/plan.ts";
import { advance, currentMigration, openEntry, prepareJournal } from "../src/target/journal.ts";

let cluster: TestCluster;
const clients: pg.Client[] = [];
beforeAll(async () => {
  cluster = await startCluster();
  for (let count = 0; count < 2; count++) {
    const client = new pg.Client(cluster.url);
    await client.connect();
    clients.push(client);
  }
  const [first] = clients as [pg.Client];
  await prepareJournal(first);
  await openEntry(first, "one", {} as MigrationPlan);
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await cluster.stop();
});

it("lets one of two runs at once move a migration on, and keeps what the steps noted", async () => {
  const [first, second] = clients as [pg.Client, pg.Client];
  await first.query("BEGIN");
  expect(await advance(first, "one", "loading", "loaded", { by: "first" })).toBe(true);
  const waiting = advance(second, "one", "loading", "loaded", { by: "second" });
  await first.query("COMMIT");
  expect(await waiting).toBe(false);
  expect(await advance(second, "one", "loaded", "cutting-over", { rows: 3 })).toBe(true);
  expect(await currentMigration(first)).toMatchObject({
    id: "one",
    phase: "cutting-over",
    details: { by: "first", rows: 3 },
  });
});

it("moves nothing when the transaction that moved it is rolled back", async () => {
  const [first] = clients as [pg.Client];
  await first.query("BEGIN");
  expect(await advance(first, "one", "cutting-over", "cut-over")).toBe(true);
  await first.query("ROLLBACK");
  expect((await currentMigration(first))?.phase).toBe("cutting-over");
});
