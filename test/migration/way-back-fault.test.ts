import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import type { LifeboatError } from "@lifeboat/core";
import { keptForTheWayBack, migrationStatus, wayBackFault, wayBackLost } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { SYNC_SESSION_NAME } from "../../packages/migrate/src/target/connect.ts";
import { takeTargetLock } from "../../packages/migrate/src/target/lock.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type ReverseCase, reverseCase } from "./reverse-case.ts";

let cluster: TestCluster;
let one: ReverseCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
afterEach(() => one.end());

const SHOP = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')";

const request = () => ({
  ...{ sqlite: { path: one.path }, postgres: { url: one.url } },
  signal: new AbortController().signal,
});
const fault = () => wayBackFault(request());
const code = async () => (await fault())?.code ?? null;

it("finds nothing in the way of a rollback while the product writes and a sync follows it, and before a cutover", async () => {
  one = await reverseCase(cluster, SHOP);
  expect(await code()).toBeNull();
  await one.cutOver();
  const asked: unknown[] = [];
  for (let batch = 0; batch < 12; batch++) {
    await one.query("UPDATE t SET v = v || '.'");
    const following = one.follow();
    asked.push(await code(), await code());
    await following;
  }
  expect(new Set(asked)).toEqual(new Set([null]));
});

it("is no fault that a sync keeps readers out of a file in rollback-journal mode while it writes", async () => {
  one = await reverseCase(cluster, SHOP);
  await one.cutOver();
  one.sqlite("PRAGMA journal_mode = DELETE");
  const client = await one.client();
  await client.query(`SET application_name = '${SYNC_SESSION_NAME}'`);
  await takeTargetLock(client);
  const writer = new Database(one.path);
  writer.exec("BEGIN EXCLUSIVE");
  expect(await code()).toBeNull();
  writer.close();
});

it("is not known where somebody else holds the file's lock, and nothing is said against the file", async () => {
  one = await reverseCase(cluster, SHOP);
  await one.cutOver();
  one.sqlite("PRAGMA journal_mode = DELETE");
  const writer = new Database(one.path);
  writer.exec("BEGIN EXCLUSIVE");
  const locked = await fault();
  expect(locked).toMatchObject({ code: "SQLITE_BUSY" });
  expect(wayBackLost(locked as LifeboatError)).toMatchObject({
    summary: expect.stringMatching(/^whether .* is not known: another process held the lock/),
    remedy: expect.stringContaining("run this again"),
  });
  writer.close();
});

it("is asked by a role that only takes backups: what is kept for the way back is told, and which right the rest needs", async () => {
  one = await reverseCase(cluster, SHOP);
  await one.cutOver();
  await cluster.query("CREATE ROLE backups LOGIN PASSWORD 'x'");
  const url = Object.assign(new URL(one.url), { username: "backups", password: "x" }).href;
  const { signal } = request();
  expect(await keptForTheWayBack({ url }, signal)).toBeGreaterThan(0);
  await expect(wayBackFault({ ...request(), postgres: { url } })).rejects.toMatchObject({
    code: "TARGET_DENIED",
  });
});

it("names what a rollback would be refused by", async () => {
  one = await reverseCase(cluster, SHOP);
  await one.cutOver();
  copyFileSync(one.path, `${one.path}.old`);
  await one.query("ALTER TABLE t ADD more text");
  expect(await fault()).toMatchObject({ code: "NOT_FOLLOWABLE" });
  const { findings } = await migrationStatus(request());
  expect(findings).toMatchObject([{ id: "way-back-lost", severity: "warning" }]);
  await one.query("ALTER TABLE t DROP more; UPDATE t SET v = 'b'");
  await one.follow();
  await one.query("UPDATE t SET v = 'c'");
  await one.follow();
  expect(await code()).toBeNull();
  one.sqlite("UPDATE lifeboat_state SET refused = 0");
  expect(await code()).toBe("SQLITE_NOT_FROZEN");
  one.sqlite("UPDATE lifeboat_state SET refused = 1");
  await one.query("UPDATE lifeboat.followed SET look = 'another', look_before = NULL");
  expect(await code()).toBe("POSTGRES_SET_BACK");
  await one.query("UPDATE lifeboat.followed SET look_before = look");
  one.sqlite("UPDATE lifeboat_followed SET look = 'another'");
  expect(await code()).toBeNull();
  one.sqlite("UPDATE lifeboat_followed SET snapshot = '1000000000:1000000000:'");
  expect(await fault()).toMatchObject({ message: expect.stringContaining("restored from a dump") });
  copyFileSync(`${one.path}.old`, one.path);
  expect(await code()).toBe("SQLITE_REPLACED");
  writeFileSync(one.path, "no database".repeat(100));
  const unreadable = await fault();
  expect(unreadable).toMatchObject({ code: "SQLITE_UNREADABLE" });
  expect(wayBackLost(unreadable as LifeboatError)).toMatchObject({
    severity: "error",
    summary: expect.stringMatching(/^whether there is .* is not known: /),
  });
  rmSync(one.path);
  expect(await fault()).toMatchObject({
    code: "SQLITE_NOT_FOUND",
    remedy: expect.stringContaining("without it there is no way back"),
  });
  await one.query("UPDATE lifeboat.migrations SET phase = 'finished'");
  expect(await code()).toBeNull();
});
