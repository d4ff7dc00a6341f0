import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { ForeignCheckpoints } from "../src/watch/waiting-checkpoint.ts";
import { holderOf, progressOf, walApp } from "./wal-app.ts";

const CHECKPOINT = `
import { createRequire } from "node:module";
const Database = createRequire(process.argv[2])("better-sqlite3");
const database = new Database(process.argv[3], { timeout: 60_000 });
process.send("begins");
database.pragma("wal_checkpoint(TRUNCATE)");
`;

const point = (frames: number) => ({ frames, checksum: [0, 0] as const, pages: 1 });

test("a checkpoint that waits for our reader is looked for once commits have stopped, not while they go on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-checkpoints-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "app.db");
  const app = new Database(path);
  app.pragma("journal_mode = WAL");
  app.exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  const reader = new Database(path);
  reader.exec("BEGIN; SELECT * FROM t");
  app.exec("INSERT INTO t VALUES (2)");
  const program = join(folder, "checkpoint.mjs");
  await writeFile(program, CHECKPOINT);
  const child = fork(program, [import.meta.filename, path]);
  const gone = once(child, "exit");
  const checkpoints = new ForeignCheckpoints(path);
  try {
    const stopped = point(1);
    await expect.poll(() => checkpoints.oneWaits(stopped)).toBe(true);
    for (let frames = 2; frames < 20; frames++)
      expect(checkpoints.oneWaits(point(frames))).toBe(false);
    await expect.poll(() => checkpoints.oneWaits(stopped)).toBe(true);
  } finally {
    reader.exec("COMMIT");
    await gone;
    reader.close();
    app.close();
  }
  expect(checkpoints.oneWaits(point(99))).toBe(false);
});

/** Of another process; resolves once it waits for a reader, with what resolves when it is over. */
async function waitingCheckpoint(path: string) {
  const program = join(path, "..", "checkpoint.mjs");
  await writeFile(program, CHECKPOINT);
  const child = fork(program, [import.meta.filename, path]);
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const gone = once(child, "exit");
  const seen = new ForeignCheckpoints(path);
  const committed = point(1);
  await expect.poll(() => seen.oneWaits(committed)).toBe(true);
  return { gone };
}

test("no way is made for a checkpoint that waits while frames lie in the WAL alone, and at once when they are stored", async () => {
  const { path, app } = await walApp();
  let stored = false;
  const holder = holderOf(path, { mayBeginAnew: () => stored });
  holder.takeHold();
  const { log } = progressOf(app);
  const { gone } = await waitingCheckpoint(path);
  // It tries again each tenth of a second at least.
  for (let look = 0; look < 10; look++) {
    holder.makeWay();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(progressOf(app).log).toBe(log);
  stored = true;
  const making = setInterval(() => holder.makeWay(), 10);
  await gone;
  clearInterval(making);
  expect(progressOf(app).log).toBe(0);
});

test("no way is made for a checkpoint that would have the WAL begun anew before its commits were read", async () => {
  const { path, app, commit } = await walApp();
  const holder = holderOf(path);
  holder.takeHold();
  expect(holder.copyBack()).toBeDefined();
  commit();
  const { log } = progressOf(app);
  const wal = await open(`${path}-wal`, "r+");
  await wal.write(Buffer.from([0xff]), 0, 1, 32 + log * (24 + 4096) - 100);
  await wal.close();
  holder.poll();
  await waitingCheckpoint(path);
  const making = async () => {
    for (;;) {
      holder.makeWay();
      expect(progressOf(app).log).toBe(log);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await expect(making()).rejects.toThrow("commits that cannot be read");
});
