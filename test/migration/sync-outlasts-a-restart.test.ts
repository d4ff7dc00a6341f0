import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { KillCase } from "./kill-case.ts";

let cluster: TestCluster;
let product: KillCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterEach(() => product.end());
afterAll(() => cluster.stop());

const AWAY = "Postgres is away; connecting again until it answers, nothing is lost";

/** Ends the server under a running sync for a while, and waits until the sync has said so. */
async function outage(notes: readonly string[]): Promise<void> {
  await cluster.kill();
  while (!notes.includes(AWAY)) await sleep(20);
  await cluster.startAgain();
}

it("a sync goes on by itself once a server that was killed is back, and says so once", async () => {
  product = await KillCase.make(cluster, { pause: 10 });
  await product.startWriters();
  expect(await product.run("load")).toBe("done");
  const sync = product.start("sync");
  await sync.reaches(0);
  await outage(sync.notes);
  await product.stopWriters();
  while ((await product.differences()).length > 0) await sleep(100);
  sync.stop();
  expect(await sync.ended).toBe("done");
  expect(sync.notes.filter((note) => note === AWAY)).toHaveLength(1);
});

it("and so does one that follows Postgres back to SQLite", async () => {
  product = await KillCase.make(cluster, { pause: 10 });
  await product.startWriters();
  expect(await product.run("load")).toBe("done");
  expect(await product.run("cutover")).toBe("done");
  const sync = product.start("sync");
  await sync.reaches(0);
  await outage(sync.notes);
  await product.traffic("postgres");
  await product.stopWriters();
  while ((await product.differences()).length > 0) await sleep(100);
  sync.stop();
  expect(await sync.ended).toBe("done");
  expect(sync.notes.filter((note) => note === AWAY)).toHaveLength(1);
});

it("ends with the outage where it was to end when caught up", async () => {
  product = await KillCase.make(cluster);
  expect(await product.run("load")).toBe("done");
  await cluster.kill();
  expect(await product.run("sync", "--until", "caught-up")).toMatch(/^failed POSTGRES_UNREACHABLE/);
  await cluster.startAgain();
});

it("hands over to a cutover that began while it was away", async () => {
  product = await KillCase.make(cluster, { pause: 10 });
  await product.startWriters();
  expect(await product.run("load")).toBe("done");
  const sync = product.start("sync");
  await sync.reaches(0);
  await outage(sync.notes);
  expect(await product.run("cutover")).toBe("done");
  expect(await sync.ended).toBe("done");
  await product.traffic("postgres");
  await product.stopWriters();
  expect(await product.wrongOn("postgres")).toEqual([]);
});
