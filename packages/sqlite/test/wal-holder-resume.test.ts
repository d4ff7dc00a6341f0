import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import type { LogPlace } from "../src/wal/place.ts";
import { holderOf, progressOf, walApp } from "./wal-app.ts";

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

  test("not where the WAL is shorter than what was read of it", async () => {
    const { path } = await walApp();
    const place = readUpTo(path);
    expect(goesOn(path, { ...place, frames: place.frames + 5 })).toBe(false);
  });
});
