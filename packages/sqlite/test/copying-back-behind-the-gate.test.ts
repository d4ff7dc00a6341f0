import { spawn } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { has } from "../../../test/support/outside-programs.ts";
import { heard, startBystander } from "../../../test/support/sqlite.ts";
import { WATCH_LIMITS } from "../src/watch/limits.ts";
import { holderOf, progressOf, walApp } from "./wal-app.ts";

const SHM = "-shm";

test("what is too much to be copied back while writers wait is let through first, and is copied back all the same", async () => {
  const { path, app } = await walApp();
  const limits = { ...WATCH_LIMITS, residueBytes: 1 << 20 };
  // Beside an app whose SQLite has the WAL-reset bug nothing is copied back before the gate is shut.
  const holder = holderOf(path, { limits, checkpointFreely: false });
  holder.takeHold();
  app.exec(`CREATE TABLE filling AS SELECT zeroblob(${3 << 20})`);
  expect(holder.copyBack()).toBeUndefined();
  expect(progressOf(app).checkpointed).toBe(0);
  // Nobody else does it, so more and more of it may be.
  expect(holder.copyBack()).toBeUndefined();
  expect(holder.copyBack()).toBeDefined();
  const { log, checkpointed } = progressOf(app);
  expect(checkpointed).toBe(log);
  // And then as little may be left as at first.
  app.exec(`INSERT INTO filling SELECT zeroblob(${3 << 20})`);
  expect(holder.copyBack()).toBeUndefined();
  const free = holderOf(path);
  holder.close();
  free.takeHold();
  app.exec("UPDATE filling SET rowid = -rowid");
  app.exec(`INSERT INTO filling SELECT zeroblob(${3 << 20})`);
  // Where it may be copied back beside writers, that is done before the gate is shut.
  expect(free.copyBack()).toBeDefined();
});

test("an old reader is nothing to wait for behind the gate, and the WAL is held all the same", async () => {
  const { path, app, commit } = await walApp();
  await startBystander(path, "read");
  commit();
  const holder = holderOf(path, { limits: { ...WATCH_LIMITS, gateMs: 1e9 } });
  holder.takeHold();
  expect(holder.copyBack()).toBeUndefined();
  expect(app.pragma("wal_checkpoint(TRUNCATE)", { simple: true })).toBe(1);
});

/** Holds the lock of a checkpoint, as an app's own does, until it is told and a writer has shut the gate; then a moment longer. */
const CHECKPOINT_IN_FLIGHT = `
import fcntl, os, sys, time
CHECKPOINT, GATE = 121, 120
shm = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(shm, fcntl.LOCK_EX, 1, CHECKPOINT)
print("ready", flush=True)
sys.stdin.readline()
print("told", flush=True)
def gate_is_shut():
    try:
        fcntl.lockf(shm, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, GATE)
        fcntl.lockf(shm, fcntl.LOCK_UN, 1, GATE)
        return False
    except OSError:
        return True
while not gate_is_shut():
    time.sleep(0.001)
time.sleep(0.02)
fcntl.lockf(shm, fcntl.LOCK_UN, 1, CHECKPOINT)
sys.stdin.read()
`;

function checkpointInFlight(path: string) {
  const child = spawn("python3", ["-c", CHECKPOINT_IN_FLIGHT, `${path}${SHM}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return child;
}

test.runIf(has("python3") && process.platform === "linux")(
  "a checkpoint of the app that is under way when the gate is shut is waited for",
  async () => {
    const { path, app, commit } = await walApp();
    // For as long as it takes on a busy machine.
    const holder = holderOf(path, { limits: { ...WATCH_LIMITS, gateMs: 60_000 } });
    holder.takeHold();
    commit();
    const child = checkpointInFlight(path);
    expect(await heard({ child, kill: async () => {} }, "ready")).toBe(true);
    expect(app.pragma("wal_checkpoint(PASSIVE)", { simple: true })).toBe(1);
    child.stdin.write("\n");
    expect(await heard({ child, kill: async () => {} }, "told")).toBe(true);
    expect(holder.copyBack()).toBeDefined();
    const { log, checkpointed } = progressOf(app);
    expect(checkpointed).toBe(log);
  },
);

test.runIf(has("python3") && process.platform === "linux")(
  "however often it was tried, writers wait for no more than eight times what may be left behind the gate",
  async () => {
    const { path, app } = await walApp();
    const limits = { ...WATCH_LIMITS, residueBytes: 64 << 10, gateMs: 2000 };
    const holder = holderOf(path, { limits });
    holder.takeHold();
    app.exec(`CREATE TABLE filling AS SELECT zeroblob(${2 << 20})`);
    const child = checkpointInFlight(path);
    expect(await heard({ child, kill: async () => {} }, "ready")).toBe(true);
    for (let attempt = 0; attempt < 36; attempt++) expect(holder.copyBack()).toBeUndefined();
    child.stdin.write("\n");
    expect(await heard({ child, kill: async () => {} }, "told")).toBe(true);
    expect(holder.copyBack()).toBeUndefined();
    expect(progressOf(app).checkpointed).toBe(0);
  },
);
