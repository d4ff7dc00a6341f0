import { existsSync } from "node:fs";
import { copyFile, rename } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { LogPlace } from "../src/wal/place.ts";
import type { ReadFrom } from "../src/watch/holding.ts";
import { Hole } from "../src/watch/hole.ts";
import type { WalHolder } from "../src/watch/wal-holder.ts";
import { holderOf, progressOf, spoilNewest, walApp } from "./wal-app.ts";

describe("a watch that comes back goes on", () => {
  /** Reads up to here, lets go, and says where it was. */
  function readUpTo(path: string): LogPlace {
    const holder = holderOf(path);
    holder.takeHold();
    holder.poll();
    const { place } = holder.wal;
    holder.close();
    return place;
  }
  const goesOn = (path: string, place: LogPlace) =>
    holderOf(path).takeHold({ place, instant: Date.now() });

  test("where the WAL only grew, or was only copied back", async () => {
    const { path, app, commit } = await walApp();
    const place = readUpTo(path);
    expect(goesOn(path, place)).toBe(true);
    commit();
    expect(goesOn(path, place)).toBe(true);
    app.pragma("wal_checkpoint(PASSIVE)");
    expect(goesOn(path, place)).toBe(true);
  });

  test("not where the WAL was begun anew, however it was", async () => {
    const { path, app, commit } = await walApp();
    const place = readUpTo(path);
    app.pragma("wal_checkpoint(RESTART)");
    commit();
    expect(goesOn(path, place)).toBe(false);
  });

  test("not where the app closed last, and its WAL is gone or another", async () => {
    const { path, app, commit } = await walApp();
    const place = readUpTo(path);
    app.close();
    expect(goesOn(path, place)).toBe(false);
    const next = new Database(path);
    next.exec("UPDATE counter SET v = v + 1");
    expect(goesOn(path, place)).toBe(false);
    next.close();
    expect(commit).toThrow();
  });

  test("not where the frames up to there are others, under the same salts", async () => {
    const { path } = await walApp();
    const copy = join(path, "..", "copy.db");
    await copyFile(path, copy);
    await copyFile(`${path}-wal`, `${copy}-wal`);
    const place = readUpTo(path);
    // What lies there was committed beside the one that was read.
    const other = new Database(copy);
    other.pragma("wal_autocheckpoint = 0");
    other.exec("UPDATE counter SET v = 99");
    const frames = progressOf(other).log;
    expect(goesOn(copy, { ...place, frames })).toBe(false);
    other.close();
  });

  test("with what is committed while it takes hold", async () => {
    const { path, app, commit } = await walApp();
    const place = readUpTo(path);
    commit();
    let frames = 0;
    const holder = holderOf(path, {
      found: ({ to }) => {
        if (frames === 0) commit();
        frames = to.frames;
      },
    });
    expect(holder.takeHold({ place, instant: 0 })).toBe(true);
    expect(frames).toBe(progressOf(app).log);
  });

  test("not where the commits behind it cannot be read", async () => {
    const { path, commit } = await walApp();
    const place = readUpTo(path);
    commit();
    await spoilNewest(path);
    expect(goesOn(path, place)).toBe(false);
  });

  test("not where the WAL is shorter than what was read of it", async () => {
    const { path } = await walApp();
    const place = readUpTo(path);
    expect(goesOn(path, { ...place, frames: place.frames + 5 })).toBe(false);
  });
});

describe("a watch that was stopped in order goes on", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A database that is held and brought to rest, and where reading would go on. */
  async function settled() {
    const { path, app } = await walApp();
    const other = join(path, "..", "other.db");
    app.exec(`VACUUM INTO '${other}'`);
    const fresh = new Database(other);
    fresh.pragma("journal_mode = wal");
    fresh.close();
    const holder = holderOf(path);
    holder.takeHold();
    const rest = holder.settle();
    expect(rest).toBeDefined();
    const from: ReadFrom = { place: holder.wal.place, instant: Date.now(), rest };
    return { path, app, other, holder, from };
  }
  /** Whoever closes last removes the WAL. */
  function closeBoth(app: Database.Database, holder: WalHolder, path: string): void {
    app.close();
    holder.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
  }

  test("by the file, unless the clock was set back since: by it nothing tells when the file was written to", async () => {
    const { path, app, holder, from } = await settled();
    closeBoth(app, holder, path);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
    expect(holderOf(path).takeHold(from)).toBe(false);
    vi.useRealTimers();
    expect(holderOf(path).takeHold(from)).toBe(true);
  });

  test("with all that was committed meanwhile, though a writer kept the first try out", async () => {
    const { path, app, holder, from } = await settled();
    closeBoth(app, holder, path);
    const next = new Database(path);
    next.pragma("wal_autocheckpoint = 0");
    next.exec("UPDATE counter SET v = v + 1");
    let found = 0;
    const late = holderOf(path, {
      found: ({ from, to }) => {
        found += to.frames - from.frames;
      },
    });
    next.exec("BEGIN IMMEDIATE");
    expect(() => late.takeHold(from)).toThrow("locked");
    next.exec("COMMIT");
    found = 0;
    expect(late.takeHold(from)).toBe(true);
    late.pollToEnd();
    expect(found).toBe(progressOf(next).log);
    next.close();
  });

  test("not where what was committed since is copied back while it takes hold", async () => {
    const { path, app, holder, from } = await settled();
    closeBoth(app, holder, path);
    const next = new Database(path);
    next.pragma("wal_autocheckpoint = 0");
    next.exec("UPDATE counter SET v = v + 1");
    const late = holderOf(path, { found: () => next.pragma("wal_checkpoint(PASSIVE)") });
    expect(late.takeHold(from)).toBe(false);
    next.close();
  });

  test("not where what was committed since cannot be read", async () => {
    const { path, app, holder, from } = await settled();
    closeBoth(app, holder, path);
    const next = new Database(path);
    next.pragma("wal_autocheckpoint = 0");
    next.exec("UPDATE counter SET v = v + 1");
    await spoilNewest(path);
    expect(holderOf(path).takeHold(from)).toBe(false);
    next.close();
  });

  test("not where the file was replaced since, nor where it was and is back", async () => {
    const { path, app, other, holder, from } = await settled();
    closeBoth(app, holder, path);
    await rename(path, `${path}.old`);
    await rename(other, path);
    const beside = holderOf(path);
    expect(beside.takeHold(from)).toBe(false);
    beside.close();
    await rename(`${path}.old`, path);
    expect(holderOf(path).takeHold(from)).toBe(false);
  });

  test("not where it was replaced after all was copied back and before the file was let go, which takes the old WAL away", async () => {
    const { path, app, other, holder, from } = await settled();
    app.close();
    expect(existsSync(`${path}-wal`)).toBe(true);
    await rename(other, path);
    expect(() => holder.settle()).toThrow(Hole);
    holder.close();
    expect(holder.oldWal).toBe("removed");
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(holderOf(path).takeHold(from)).toBe(false);
  });

  test("not where it was replaced beside its WAL, which SQLite lays over the new file", async () => {
    const { path, other, holder, from } = await settled();
    holder.close();
    await rename(other, path);
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(holderOf(path).takeHold(from)).toBe(false);
  });

  test("not where it was moved away and its WAL copied back there, though it is back by then", async () => {
    const { path, app, holder, from } = await settled();
    app.exec("UPDATE counter SET v = v + 1");
    app.close();
    await rename(path, `${path}.old`);
    holder.close();
    expect(holder.oldWal).toBe("removed");
    await rename(`${path}.old`, path);
    expect(holderOf(path).takeHold(from)).toBe(false);
  });
});
