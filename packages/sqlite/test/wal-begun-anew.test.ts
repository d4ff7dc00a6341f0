import { truncateSync } from "node:fs";
import { open } from "node:fs/promises";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { formatWalHeader } from "../src/wal/header.ts";
import { Hole } from "../src/watch/hole.ts";
import { WATCH_LIMITS } from "../src/watch/limits.ts";
import type { NewFrames } from "../src/watch/live-wal.ts";
import { WalHolder } from "../src/watch/wal-holder.ts";
import { holderOf, progressOf, spoilNewest, walApp } from "./wal-app.ts";

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

  const third = await walApp();
  const { place } = holderThatRead(third.path).wal;
  const resumed = holderOf(third.path);
  expect(resumed.takeHold({ place, instant: 0 })).toBe(true);
  await beginAnewByForce(third.path);
  expect(() => resumed.poll()).toThrow("begun anew although it was held");
});

/** One that has let go. */
function holderThatRead(path: string): WalHolder {
  const holder = holderOf(path);
  holder.takeHold();
  holder.poll();
  holder.close();
  return holder;
}

test("a WAL that was begun anew before all of it was read, or was stored, is a hole", async () => {
  const unread = await walApp();
  const holder = holderOf(unread.path);
  holder.takeHold();
  holder.poll();
  unread.commit();
  await spoilNewest(unread.path);
  expect(() => holder.copyBack()).toThrow("commits that cannot be read");
  await beginAnewByForce(unread.path);
  expect(() => holder.poll()).toThrow("begun anew although it was held");

  const { path, commit } = await walApp();
  let liesThereAlone = false;
  const found = () => {
    liesThereAlone = true;
  };
  const unstored = holderOf(path, { found, mayBeginAnew: () => !liesThereAlone });
  unstored.takeHold();
  unstored.poll();
  liesThereAlone = false;
  commit();
  expect(unstored.copyBack()).toBeUndefined();
  await beginAnewByForce(path);
  expect(() => unstored.poll()).toThrow("begun anew although it was held");
});

test("what was committed just before the gate was shut is copied back too, and a WAL that is begun anew behind it is no hole", async () => {
  const { path, app, commit } = await walApp();
  const { counted, found } = counting();
  let meanwhile = () => {};
  const holder = holderOf(path, {
    found: (frames) => {
      found(frames);
      meanwhile();
      meanwhile = () => {};
    },
  });
  holder.takeHold();
  holder.poll();
  commit();
  meanwhile = commit;
  expect(holder.copyBack()).toBeDefined();
  commit();
  counted.found = 0;
  holder.poll();
  expect(counted.found).toBe(progressOf(app).log);
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
  const found = ({ from, to }: NewFrames): void => {
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

test("a WAL that another process empties while it is read is a hole", async () => {
  const { path, commit } = await walApp();
  const holder = holderOf(path, {
    found: ({ from, to }) => {
      truncateSync(`${path}-wal`, 0);
      holder.wal.frames(from.frames, to.frames);
    },
  });
  holder.takeHold();
  commit();
  expect(() => holder.poll()).toThrow(Hole);
});
