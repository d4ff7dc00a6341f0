import { spawn } from "node:child_process";
import { copyFile, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { has } from "../../../test/support/outside-programs.ts";
import { heard } from "../../../test/support/sqlite.ts";
import { formatWalHeader } from "../src/wal/header.ts";
import { WATCH_LIMITS } from "../src/watch/limits.ts";
import type { NewFrames } from "../src/watch/live-wal.ts";
import { WalHolder } from "../src/watch/wal-holder.ts";
import { holderOf, progressOf, walApp } from "./wal-app.ts";

const SHM = "-shm";

/** Damages the first copy of the WAL's index header as a writer has it in the moment of its change, then mends it. */
const INDEX_IN_CHANGE = `
import os, sys
shm = os.open(sys.argv[1], os.O_RDWR)
whole = os.pread(shm, 48, 0)
os.pwrite(shm, bytes([whole[8] ^ 255]), 8)
print("ready", flush=True)
sys.stdin.readline()
os.pwrite(shm, whole, 0)
print("mended", flush=True)
sys.stdin.read()
`;

test.runIf(has("python3"))(
  "what a writer that was killed had written up to its commit is not read, though the index could not be asked just then",
  async () => {
    const { path, app, commit } = await walApp();
    const read: number[] = [];
    const holder = holderOf(path, { found: ({ to }) => read.push(to.frames) });
    holder.takeHold();
    const before = progressOf(app).log;
    // A transaction as it would follow, under the same salts, made elsewhere.
    const copy = join(path, "..", "copy.db");
    await copyFile(path, copy);
    await copyFile(`${path}-wal`, `${copy}-wal`);
    const elsewhere = new Database(copy);
    elsewhere.pragma("wal_autocheckpoint = 0");
    elsewhere.exec("UPDATE counter SET v = 99; CREATE TABLE never(v)");
    expect(progressOf(elsewhere).log).toBeGreaterThan(before);
    const wal = await readFile(`${copy}-wal`);
    elsewhere.close();
    const behind = 32 + before * (24 + 4096);
    const file = await open(`${path}-wal`, "r+");
    await file.write(wal, behind, wal.length - behind, behind);
    await file.close();
    // The index is being changed, by a writer that holds its lock.
    app.exec("BEGIN IMMEDIATE");
    const child = spawn("python3", ["-c", INDEX_IN_CHANGE, `${path}${SHM}`], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    expect(await heard({ child, kill: async () => {} }, "ready")).toBe(true);
    holder.poll();
    child.stdin.write("\n");
    expect(await heard({ child, kill: async () => {} }, "mended")).toBe(true);
    app.exec("ROLLBACK");
    expect(read).toEqual([]);
    commit();
    commit();
    const { log } = progressOf(app);
    holder.pollToEnd();
    expect(read.at(-1)).toBe(log);
    expect(holder.allReadAt).toBeDefined();
  },
);

test("commits that are not to be found, look after look, end what is held", async () => {
  const { path, commit } = await walApp();
  const holder = holderOf(path);
  holder.takeHold();
  commit();
  const { size } = await stat(`${path}-wal`);
  // As a disk gives back another block than was written.
  const file = await open(`${path}-wal`, "r+");
  await file.write(Buffer.from([0xff]), 0, 1, size - 100);
  await file.close();
  holder.poll();
  expect(holder.allReadAt).toBeUndefined();
  // Copied back, they would be overwritten, and nobody had read them.
  expect(() => holder.copyBack()).toThrow("commits that cannot be read");
  expect(() => holder.pollToEnd()).toThrow("commits that cannot be read");
});

/** As whoever goes past SQLite's locks: the WAL has the header of another run from now on. */
async function beginAnewByForce(path: string): Promise<void> {
  const { bytes } = formatWalHeader({ pageSize: 4096, salts: [4711, 4712] });
  const file = await open(`${path}-wal`, "r+");
  await file.write(bytes, 0, bytes.length, 0);
  await file.close();
}

test("a WAL that was begun anew although it was held is a hole, also where all of it had been copied back and more was written behind it", async () => {
  const first = await walApp();
  const holder = holderOf(first.path);
  holder.takeHold();
  first.commit();
  holder.poll();
  const { frames } = holder.wal.committed;
  expect(holder.wal.frames(0, frames)).toHaveLength(frames * (24 + 4096));
  await beginAnewByForce(first.path);
  expect(() => holder.wal.frames(0, frames)).toThrow("before all that was read of it was stored");
  expect(() => holder.poll()).toThrow("begun anew although it was held");

  const { path, app } = await walApp();
  const other = holderOf(path);
  other.takeHold();
  const before = progressOf(app).log;
  // A reader on the newest commit keeps nothing from being copied back, and appends where it writes.
  app.exec("BEGIN; SELECT * FROM counter");
  expect(other.copyBack()).toBeDefined();
  app.exec("UPDATE counter SET v = v + 1; COMMIT");
  expect(progressOf(app).log).toBeGreaterThan(before);
  other.poll();
  await beginAnewByForce(path);
  expect(() => other.poll()).toThrow("begun anew although it was held");
});

test("what lies in the WAL alone is neither copied back nor taken for held where it may be overwritten", async () => {
  const { path, app, commit } = await walApp();
  let liesThereAlone = false;
  const init = {
    found: () => {
      liesThereAlone = true;
    },
    mayBeginAnew: () => !liesThereAlone,
  };
  const holder = holderOf(path, init);
  holder.takeHold();
  liesThereAlone = false;
  commit();
  // It is found on the way, as late as that.
  expect(holder.copyBack()).toBeUndefined();
  const before = progressOf(app).log;
  commit();
  expect(progressOf(app).log).toBeGreaterThan(before);
  const { place } = holder.wal;
  holder.close();
  app.pragma("wal_checkpoint(PASSIVE)");
  // The next writer begins this WAL anew.
  liesThereAlone = false;
  expect(holderOf(path, init).takeHold({ place, instant: 0 })).toBe(false);
});

test("a database that has left WAL mode meanwhile is not held, and its app commits on", async () => {
  const { path, app, commit } = await walApp();
  const holder = holderOf(path);
  holder.close();
  app.pragma("journal_mode = DELETE");
  const late = holderOf(path);
  expect(() => late.takeHold()).toThrow("not in WAL mode any more");
  commit();
});

test("a file is held until it is released, or until the holder lets go of it", async () => {
  const { path } = await walApp();
  const holder = holderOf(path);
  holder.takeHold();
  const hold = () => {
    const copied = holder.copyBack();
    if (!copied) throw new Error("not copied back");
    return holder.heldFile(copied, () => {});
  };
  const first = hold();
  expect(first.isHeld?.()).toBe(true);
  first.release();
  expect(first.isHeld?.()).toBe(false);
  const second = hold();
  holder.close();
  expect(second.isHeld?.()).toBe(false);
});

test("what waits to be copied back is counted anew where the WAL was begun anew", async () => {
  const { path, commit } = await walApp();
  const holder = holderOf(path);
  holder.takeHold();
  for (let n = 0; n < 3; n++) commit();
  holder.poll();
  expect(holder.copyBack()).toBeDefined();
  expect(holder.backlogBytes).toBe(0);
  commit();
  holder.poll();
  expect(holder.wal.committed.frames).toBe(1);
  expect(holder.backlogBytes).toBe(holder.wal.committedBytes);
});

test("a WAL that was begun for what was rolled back, and then begun anew once more, is no hole", async () => {
  const { path, app, commit } = await walApp();
  let found = 0;
  const holder = holderOf(path, {
    found: ({ from, to }) => {
      found += to.frames - from.frames;
    },
  });
  holder.takeHold();
  expect(holder.copyBack()).toBeDefined();
  app.pragma("cache_size = 5");
  app.exec("BEGIN; UPDATE ledger SET payload = randomblob(4000); ROLLBACK");
  holder.poll();
  app.pragma("wal_checkpoint(TRUNCATE)");
  commit();
  found = 0;
  holder.poll();
  expect(found).toBe(progressOf(app).log);
});

/** A WAL whose first transaction was rolled back by one connection of the app, while a watch saw it. Another commits next: it writes the header anew, under the same salts. */
async function headerWrittenAnew(init: Parameters<typeof holderOf>[1]) {
  const { path, app, commit } = await walApp();
  const other = new Database(path, { timeout: 100 });
  onTestFinished(() => {
    other.close();
  });
  other.pragma("wal_autocheckpoint = 0");
  const commitByOther = () => {
    other.exec("UPDATE counter SET v = v + 1");
  };
  const holder = holderOf(path, init);
  holder.takeHold();
  // Each connection numbers the runs that it began, and one that began none chooses salts of its own.
  for (const begin of [commit, commit, commitByOther]) {
    expect(holder.copyBack()).toBeDefined();
    begin();
    holder.poll();
  }
  expect(holder.copyBack()).toBeDefined();
  app.pragma("cache_size = 5");
  app.exec("BEGIN; UPDATE ledger SET payload = randomblob(4000); ROLLBACK");
  holder.poll();
  const rolledBack = holder.wal.header();
  commitByOther();
  expect(holder.wal.header()?.salts).toEqual(rolledBack?.salts);
  expect(holder.wal.header()?.checksum).not.toEqual(rolledBack?.checksum);
  return { path, app, holder, commitByOther };
}

test("a WAL whose first transaction was rolled back is read from the header that the next one wrote anew", async () => {
  let found = 0;
  const { app, holder } = await headerWrittenAnew({
    found: ({ from, to }) => {
      found += to.frames - from.frames;
    },
  });
  found = 0;
  holder.pollToEnd();
  expect(found).toBe(progressOf(app).log);
});

/** How many frames are found from now on. */
function counting() {
  const counted = { found: 0 };
  const found = ({ from, to }: NewFrames) => {
    counted.found += to.frames - from.frames;
  };
  return { counted, found };
}

test("a WAL that was copied back by others, and begun anew by a writer that kept the gate open, is no hole", async () => {
  const { path, app } = await walApp();
  const { counted, found } = counting();
  const holder = holderOf(path, { found });
  holder.takeHold();
  holder.poll();
  app.pragma("wal_checkpoint(PASSIVE)");
  app.exec("BEGIN IMMEDIATE");
  expect(holder.copyBack()).toBeUndefined();
  app.exec("UPDATE counter SET v = v + 1; COMMIT");
  counted.found = 0;
  holder.poll();
  expect(counted.found).toBe(progressOf(app).log);
});

test("what lies in the WAL alone is held where a checkpoint of somebody else copies it back in between", async () => {
  const { path, app, commit } = await walApp();
  let between = () => {};
  let liesThereAlone = false;
  let asked = 0;
  const holder = new WalHolder({
    path,
    limits: { ...WATCH_LIMITS, residueBytes: 0 },
    // Ours does nothing, as beside one that is under way.
    get checkpointFreely() {
      return asked++ % 2 === 0;
    },
    get pageSize() {
      between();
      return 4096;
    },
    found: () => {
      liesThereAlone = true;
    },
    mayBeginAnew: () => !liesThereAlone,
  });
  onTestFinished(() => holder.close());
  holder.takeHold();
  holder.poll();
  liesThereAlone = false;
  commit();
  const before = progressOf(app).log;
  between = () => app.pragma("wal_checkpoint(PASSIVE)");
  expect(holder.copyBack()).toBeUndefined();
  expect(progressOf(app).checkpointed).toBe(before);
  commit();
  expect(progressOf(app).log).toBeGreaterThan(before);
});

test("a database whose WAL was emptied since is at rest", async () => {
  const { path, app } = await walApp();
  const holder = holderOf(path);
  holder.takeHold();
  expect(holder.copyBack()).toBeDefined();
  expect(app.pragma("wal_checkpoint(TRUNCATE)", { simple: true })).toBe(0);
  expect(holder.settle()).toBeDefined();
});

test("a WAL that nobody holds is not read", async () => {
  const { path } = await walApp();
  expect(() => holderOf(path).poll()).toThrow("not held");
});
