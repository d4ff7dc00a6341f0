import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { claimCutover } from "../src/cutover/claim-cutover.ts";
import type { MigrationPlan } from "../src/plan.ts";
import { breakConnection } from "../src/target/break-connection.ts";
import {
  advance,
  currentMigration,
  type JournalEntry,
  lastEntryOf,
  noteVerified,
  openEntry,
  prepareJournal,
} from "../src/target/journal.ts";
import { takeTargetLock, takeTargetLockWhile } from "../src/target/lock.ts";

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

it("takes no verification for that of a migration which has gone on meanwhile", async () => {
  const [first] = clients as [pg.Client];
  const now = (await currentMigration(first)) as JournalEntry;
  const then: JournalEntry = { ...now, phase: "loaded" };
  expect(await noteVerified(first, then, "2026-01-01T00:00:00.000Z")).toBe(false);
  expect((await currentMigration(first))?.details).not.toHaveProperty("verifiedAt");
});

it("knows the last entry that Postgres holds only where it was noted together with its number", () => {
  const lastEntry = { seq: "7", tbl: 0 };
  const noted = (watermark: string) =>
    lastEntryOf({ details: { watermark, lastEntry } } as unknown as JournalEntry);
  expect(noted("7")).toEqual(lastEntry);
  expect(noted("8")).toBeNull();
});

it("holds the target's lock without a bound for what waits later, and not where it is wanted no more", async () => {
  const client = new pg.Client(cluster.url);
  await client.connect();
  const { signal } = new AbortController();
  const wanted = [true, false];
  const isWanted = async () => wanted.shift() ?? false;
  expect(await takeTargetLockWhile(client, signal, isWanted)).toBe(false);
  const { rows } = await client.query("SHOW lock_timeout");
  expect(rows).toEqual([{ lock_timeout: "0" }]);
  await client.end();
});

describe("the claim of a cutover", () => {
  const [first, second] = [() => clients[0] as pg.Client, () => clients[1] as pg.Client];
  const phase = async () => (await currentMigration(first()))?.phase;
  async function claim(stands: string, details: object = {}) {
    await first().query("UPDATE lifeboat.migrations SET phase = $1, details = $2", [
      stands,
      JSON.stringify(details),
    ]);
    const client = new pg.Client(cluster.url);
    client.on("error", () => undefined);
    await client.connect();
    const { signal } = new AbortController();
    const own = { client, address: { url: cluster.url }, signal };
    const claimed = claimCutover(own, "one", () => {});
    claimed.catch(() => undefined);
    return { client, claimed };
  }
  /** The connection of a claim breaks, as by a network. */
  async function broken(claiming: ReturnType<typeof claim>): Promise<void> {
    const { client, claimed } = await claiming;
    breakConnection(client);
    await expect(claimed).rejects.toThrow();
  }
  const waits = () =>
    expect
      .poll(async () => {
        const waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        return (await first().query(waiting)).rowCount;
      })
      .toBe(1);

  it("that broke before it was answered leaves none, unless another's switch of the product is under way", async () => {
    await broken(claim("loaded"));
    expect(await phase()).toBe("loaded");
    await broken(claim("cutting-over"));
    expect(await phase()).toBe("loaded");
    await broken(claim("cutting-over", { switching: true }));
    expect(await phase()).toBe("cutting-over");
  });

  it("that broke beside another run leaves the journal to that, and is made again where that gives it back", async () => {
    await takeTargetLock(second());
    const one = claim("cutting-over");
    await one;
    await waits();
    await broken(one);
    expect(await phase()).toBe("cutting-over");
    const { client, claimed } = await claim("cutting-over");
    await waits();
    await first().query("UPDATE lifeboat.migrations SET phase = 'loaded'");
    await second().query("SELECT pg_advisory_unlock_all()");
    expect(await claimed).toMatchObject({ phase: "cutting-over" });
    await client.end();
  });

  it("is none of a migration that has ended, or that is not the newest any more", async () => {
    const { client, claimed } = await claim("aborted");
    await expect(claimed).rejects.toMatchObject({ code: "TAKEN_OVER" });
    await client.end();
    await openEntry(first(), "two", {} as MigrationPlan);
    const another = await claim("cutting-over");
    await expect(another.claimed).rejects.toMatchObject({ code: "TAKEN_OVER" });
    await another.client.end();
  });
});
