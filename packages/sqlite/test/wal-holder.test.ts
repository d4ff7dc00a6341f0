import { spawn } from "node:child_process";
import { copyFile, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test, vi } from "vitest";
import { has } from "../../../test/support/outside-programs.ts";
import { heard } from "../../../test/support/sqlite.ts";
import { holderOf, progressOf, spoilNewest, walApp } from "./wal-app.ts";

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
  await spoilNewest(path);
  holder.poll();
  expect(holder.allReadAt).toBeUndefined();
  // Copied back, they would be overwritten, and nobody had read them.
  expect(() => holder.copyBack()).toThrow("commits that cannot be read");
  expect(() => holder.pollToEnd()).toThrow("commits that cannot be read");
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
  const shut = holder.gates.summary();
  expect(holder.copyBack()).toBeUndefined();
  expect(holder.gates.summary()).toEqual(shut);
  const before = progressOf(app).log;
  commit();
  expect(progressOf(app).log).toBeGreaterThan(before);
  const { place } = holder.wal;
  holder.close();
  // While it is not copied back, to hold it is enough.
  const late = holderOf(path, init);
  expect(late.takeHold({ place, instant: 0 })).toBe(true);
  expect(liesThereAlone).toBe(true);
  late.close();
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

test("a database is at rest once that is copied back too which was committed as the gate had opened", async () => {
  const { path, app, commit } = await walApp();
  const holder = holderOf(path);
  holder.takeHold();
  vi.spyOn(holder.gates, "add").mockImplementationOnce(commit);
  expect(holder.settle()).toBeDefined();
  const { log, checkpointed } = progressOf(app);
  expect(checkpointed).toBe(log);
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
