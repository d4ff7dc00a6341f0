import { type fdatasyncSync, fstatSync, statSync, symlinkSync } from "node:fs";
import { afterEach, expect, it, vi } from "vitest";
import { LiveSource } from "../src/live-source.ts";
import { type CapturedCase, plannedCase } from "./captured-case.ts";

/** The real one, heard: what a power cut would take can't be seen afterwards. */
const synced = vi.hoisted((): number[] => []);
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const heard: typeof fdatasyncSync = (fd) => {
    synced.push(fstatSync(fd).ino);
    fs.fdatasyncSync(fd);
  };
  return { ...fs, fdatasyncSync: heard };
});

let one: CapturedCase;
afterEach(() => one.end());

it("makes what the product committed durable, wherever it lies: in its WAL", async () => {
  one = await plannedCase("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  const source = LiveSource.open(one.path);
  synced.length = 0;
  source.makeDurable();
  expect(synced).toEqual([statSync(`${one.path}-wal`).ino]);
  source.close();
  // By a link as well: SQLite names the WAL after the file that the link leads to.
  const link = `${one.path}-link`;
  symlinkSync(one.path, link);
  const linked = LiveSource.open(link);
  synced.length = 0;
  linked.makeDurable();
  expect(synced).toEqual([statSync(`${one.path}-wal`).ino]);
  linked.close();
});
