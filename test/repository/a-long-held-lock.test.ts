import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allObjects, Repository, RepositoryMemory, type Storage } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { faultyStorage } from "../support/faulty-storage.ts";
import { PATIENCE } from "../support/patience.ts";

const MINUTE = 60_000;

let state: string;
let storage: Storage;
beforeEach(async () => {
  // Only the clock is moved: nobody waits ten minutes for a test.
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
  state = await mkdtemp(join(tmpdir(), "lifeboat-lease-"));
  storage = memoryStorage();
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(state, { recursive: true });
});

const opened = (over: Storage = storage) =>
  Repository.open({
    ...{ storage: over, app: "documint", mode: "write" },
    memory: new RepositoryMemory(state),
  });

async function entries(): Promise<{ path: string; until: string }[]> {
  const found: { path: string; until: string }[] = [];
  for await (const { path } of allObjects(storage, "documint/locks/")) {
    const bytes = Buffer.concat(await Array.fromAsync(storage.read(path)));
    found.push({ path, until: JSON.parse(bytes.toString()).until });
  }
  return found;
}

test("is not held by an entry of another machine whose lease has ended, nor for ever by one from a clock gone wrong, nor by one that does not say whose it is", async () => {
  const repository = await opened();
  const entry = {
    purpose: "a backup",
    host: "elsewhere",
    pid: 1,
    user: "root",
    mark: "0000000000000000-1-1",
    since: new Date().toISOString(),
  };
  const until = (minutes: number) => new Date(Date.now() + minutes * MINUTE).toISOString();
  const write = (name: string, minutes: number, more: object = {}) =>
    storage.create(
      `documint/locks/x/${name}.json`,
      Buffer.from(JSON.stringify({ ...entry, ...more, until: until(minutes) })),
    );
  await write("living", 9);
  expect(await repository.isLocked("x")).toBe(true);
  await storage.remove("documint/locks/x/living.json");
  for (const lacking of ["purpose", "host", "user", "since", "pid"] as const) {
    await write(lacking, 9, { [lacking]: null });
    expect(await repository.isLocked("x"), lacking).toBe(false);
  }
  for (const [name, minutes, more] of [
    ["ended", -1],
    ["of-a-watch", -1, { quiet: true }],
    ["absurd", 1_000_000],
  ] as const) {
    await write(name, minutes, more);
    expect(await repository.isLocked("x"), name).toBe(false);
  }
  await (await repository.lock("x", "test")).release();
});

test("that killed runs left hundreds of entries of is taken, and not waited for by whoever is told to stop meanwhile", async () => {
  const stop = new AbortController();
  let reads = 0;
  const counted = faultyStorage(storage, {
    read(path, range) {
      if (path.includes("/locks/") && ++reads === 150) stop.abort(new Error("told to stop"));
      return storage.read(path, range);
    },
  });
  const repository = await opened(counted);
  for (let left = 0; left < 250; left += 1)
    await storage.create(`documint/locks/x/${left}.json`, Buffer.from("{}"));
  const { signal } = stop;
  await expect(repository.lock("x", "test", { signal })).rejects.toThrow("told to stop");
  expect(await entries()).toHaveLength(150);
  const lock = await repository.lock("x", "test");
  expect(await entries()).toHaveLength(1);
  await lock.release();
});

test("lives past its lease: a new entry takes the place of the old one, and the release takes that", async () => {
  const repository = await opened();
  const lock = await repository.lock("sqlite-app", "backup of app");
  const [first] = await entries();
  for (let minute = 0; minute < 25; minute += 1) {
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(await repository.isLocked("sqlite-app"), `after ${minute + 1} minutes`).toBe(true);
  }
  await vi.waitFor(async () => expect(await entries()).toHaveLength(1), PATIENCE);
  const [now] = await entries();
  expect(now?.path).not.toBe(first?.path);
  expect(Date.parse(now?.until ?? "")).toBeGreaterThan(Date.now());
  await lock.release();
  expect(await entries()).toEqual([]);
});

test("outlives a renewal that fails, since the next one comes before the lease ends", async () => {
  let isAway = false;
  const sometimes = faultyStorage(storage, {
    async create(path, content) {
      if (isAway) throw new Error("the storage is away");
      return storage.create(path, content);
    },
  });
  const repository = await opened(sometimes);
  const lock = await repository.lock("sqlite-app", "backup of app");
  isAway = true;
  await vi.advanceTimersByTimeAsync(6 * MINUTE);
  isAway = false;
  await vi.advanceTimersByTimeAsync(6 * MINUTE);
  expect(await lock.isHeld()).toBe(true);
  expect(await repository.isLocked("sqlite-app")).toBe(true);
  await lock.release();
  expect(await entries()).toEqual([]);
});

test("that is released while it is renewed leaves no entry behind", async () => {
  const inner = storage;
  let slow = Promise.resolve();
  const slowly = faultyStorage(inner, {
    async create(path, content) {
      await slow;
      return inner.create(path, content);
    },
  });
  const repository = await opened(slowly);
  const lock = await repository.lock("sqlite-app", "backup of app");
  const { promise, resolve } = Promise.withResolvers<void>();
  slow = promise;
  await vi.advanceTimersByTimeAsync(3 * MINUTE);
  const released = lock.release();
  resolve();
  await released;
  await new Promise((done) => setImmediate(done));
  expect(await entries()).toEqual([]);
});

test("that another run took over, while its holder stood still, is not taken back by a renewal", async () => {
  const repository = await opened();
  const lock = await repository.lock("sqlite-app", "backup of app");
  const [first] = await entries();
  await storage.remove(first?.path ?? "");
  await vi.advanceTimersByTimeAsync(10 * MINUTE);
  expect(await lock.isHeld()).toBe(false);
  expect(await entries()).toEqual([]);
});

test("a quiet one holds for as long as its process lives, and writes nothing meanwhile", async () => {
  const repository = await opened();
  const lock = await repository.lock("watch", "watch of app", { quiet: true });
  const first = await entries();
  await vi.advanceTimersByTimeAsync(100 * MINUTE);
  expect(await repository.isLocked("watch")).toBe(true);
  await expect(repository.lock("watch", "another watch")).rejects.toMatchObject({ kind: "locked" });
  expect(await entries()).toEqual(first);
  await lock.release();
  expect(await repository.isLocked("watch")).toBe(false);
});
