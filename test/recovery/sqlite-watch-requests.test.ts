import { join } from "node:path";
import type { Storage } from "@lifeboat/core";
import { filesystemStorage, memoryStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { countedStorage } from "../../packages/sqlite/src/watch/counted-storage.ts";
import { holdSocket, ShippedElsewhere } from "../../packages/sqlite/src/watch/hold-elsewhere.ts";
import { expectCleanPrefix, makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

type Asked = Record<"create" | "read" | "stat" | "list" | "remove", number>;

/** A storage that counts all that it is asked for, by whomever. */
function counting(inner: Storage): { storage: Storage; asked: () => Asked } {
  const asked: Asked = { create: 0, read: 0, stat: 0, list: 0, remove: 0 };
  const storage = new Proxy(inner, {
    get(target, member: keyof Storage) {
      const found = target[member];
      if (typeof found !== "function") return found;
      return (...given: never[]) => {
        if (member in asked) asked[member as keyof Asked] += 1;
        return (found as (...all: never[]) => unknown).apply(target, given);
      };
    },
  });
  return { storage, asked: () => ({ ...asked }) };
}

function more(after: Asked, before: Asked): Asked {
  const kinds = Object.keys(after) as (keyof Asked)[];
  return Object.fromEntries(kinds.map((kind) => [kind, after[kind] - before[kind]])) as Asked;
}

test("a segment costs the storage two requests and no listing, idle time costs it none, and status counts them", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const { storage, asked } = counting(filesystemStorage({ path: join(folder, "repository") }));
  const watch = await WatchInProcess.start({
    ...{ folder, storage, databases: [{ name: "app", path: app.path }] },
    // What merging asks for is told by a test of its own.
    limits: { compactMs: 1e9 },
  });
  const writer = new Database(app.path);
  onTestFinished(() => {
    writer.close();
  });
  let seq = 50;
  const segment = async () => {
    const before = (await watch.facts())?.lastSegment;
    seq += 1;
    writer.exec(
      `BEGIN; INSERT INTO ledger VALUES (${seq}, 'x'); UPDATE counter SET v = ${seq}; COMMIT`,
    );
    await expect
      .poll(async () => {
        const facts = await watch.facts();
        return facts?.lastSegment !== before && facts?.unshippedBytes === 0;
      })
      .toBe(true);
  };
  await segment();
  const place = watch.repository.folder("sqlite", "app");
  const lookedAt = async () => {
    const found = await ShippedElsewhere.find(holdSocket(watch.state, place), app.path);
    const idle = await found?.idle();
    found?.close();
    return Date.parse(idle?.until ?? "");
  };

  const [counted, total] = [(await watch.facts())?.requests as Asked, asked()];
  for (let n = 0; n < 3; n++) await segment();
  const busy = more(asked(), total);
  expect(busy).toEqual({ create: 3, read: 0, stat: 3, list: 0, remove: 0 });
  expect(more((await watch.facts())?.requests as Asked, counted)).toEqual(busy);

  const [idle, since] = [asked(), await lookedAt()];
  const note = await watch.facts();
  // It went on looking all the while.
  await expect.poll(lookedAt).toBeGreaterThan(since + 1500);
  expect(more(asked(), idle)).toEqual({ create: 0, read: 0, stat: 0, list: 0, remove: 0 });
  expect(await watch.facts()).toEqual(note);

  expect(note).toMatchObject({
    walBytes: expect.any(Number),
    gates: { count: expect.any(Number), p50: expect.any(Number), p99: expect.any(Number) },
    fallbacks: 0,
  });
  watch.stop();
  await watch.ended;
  expect(expectCleanPrefix((await app.restore(join(folder, "to"))).path)).toBe(seq);
});

test("each request is counted as what it was", async () => {
  const { storage, counts } = countedStorage(memoryStorage());
  await storage.create("a", Buffer.from("x"));
  for (let n = 0; n < 2; n++) await Array.fromAsync(storage.read("a"));
  for (let n = 0; n < 3; n++) await storage.stat("a");
  for (let n = 0; n < 4; n++) await storage.list({ prefix: "" });
  for (let n = 0; n < 5; n++) await storage.remove("a");
  expect(counts).toEqual({ create: 1, read: 2, stat: 3, list: 4, remove: 5 });
});
