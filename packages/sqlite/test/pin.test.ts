import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { has } from "../../../test/support/outside-programs.ts";
import { ownLocks, PINNED } from "../../../test/support/own-locks.ts";
import { PATIENCE } from "../../../test/support/patience.ts";
import {
  heard,
  makeLedger,
  startBystander,
  startWriter,
  testFolder,
} from "../../../test/support/sqlite.ts";
import { pragmaNumber } from "../src/driver.ts";
import { factsOf } from "../src/hold/held.ts";
import { hasWalResetFix, pin } from "../src/hold/pin.ts";
import { WalConnections } from "../src/hold/wal-connections.ts";
import { RawReader } from "../src/raw/raw-reader.ts";

const signal = new AbortController().signal;
const options = { pageSize: 4096, checkpointFreely: true, patienceMs: 300, signal };
/** Where it is surely to be had, however busy the machine and the writers. */
const surely = { ...options, patienceMs: PATIENCE.timeout };

async function connectedLedger() {
  const path = join(await testFolder(), "app.db");
  makeLedger(path, { rows: 200 });
  const connections = await WalConnections.open(path, 1000, signal);
  onTestFinished(() => connections.close());
  return { path, connections };
}

test.runIf(has("sqlite3"))(
  "a pinned file is not written to, whatever checkpoint another process runs",
  async () => {
    const { path, connections } = await connectedLedger();
    const held = await pin(connections, surely);
    const before = await readFileElsewhere(path);
    execFileSync("sqlite3", [path, "UPDATE ledger SET payload = randomblob(3000)"]);
    for (const kind of ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
      execFileSync("sqlite3", [path, `PRAGMA busy_timeout=50; PRAGMA wal_checkpoint(${kind})`]);
    expect(await readFileElsewhere(path)).toEqual(before);
    held?.release();
    execFileSync("sqlite3", [path, "PRAGMA wal_checkpoint(TRUNCATE)"]);
    expect(await readFileElsewhere(path)).not.toEqual(before);
  },
);

test.runIf(has("sqlite3"))(
  "what others may do to a pinned database goes into its WAL, and leaving WAL mode is refused",
  async () => {
    const { path, connections } = await connectedLedger();
    const held = await pin(connections, surely);
    const before = await readFileElsewhere(path);
    const sqlite3 = (sql: string) =>
      execFileSync("sqlite3", ["-cmd", ".timeout 50", path, sql], {
        encoding: "utf8",
        stdio: "pipe",
      });
    expect(() => sqlite3("PRAGMA journal_mode = DELETE")).toThrow(/locked/);
    sqlite3("PRAGMA page_size = 8192; VACUUM; CREATE TABLE later(a)");
    expect(sqlite3("PRAGMA page_size; PRAGMA journal_mode")).toBe("4096\nwal\n");
    expect(await readFileElsewhere(path)).toEqual(before);
    held?.release();
  },
);

test.runIf(process.platform === "linux")(
  "the pin is a reader on read lock 0, and reading the file by the raw reader loses no lock",
  async () => {
    const { path, connections } = await connectedLedger();
    await startWriter(path, { rate: 500 });
    const held = await pin(connections, surely);
    expect(await ownLocks(`${path}-shm`)).toContain(PINNED);
    const locked = await ownLocks(path);
    const reader = new RawReader();
    await reader.peek(path, 0, 100);
    await reader.copy(path, `${path}.copy`, signal);
    await reader.close();
    expect(await ownLocks(`${path}-shm`)).toContain(PINNED);
    expect(await ownLocks(path)).toEqual(locked);
    held?.release();
    expect(await ownLocks(`${path}-shm`)).toEqual([]);
  },
);

test("a writer that keeps the gate shut keeps the pin out, and so does an old reader", async () => {
  const { path, connections } = await connectedLedger();
  const writing = await startBystander(path, "write");
  expect(await pin(connections, options)).toBeUndefined();
  await writing.kill();
  await startBystander(path, "read");
  commitOne(path);
  expect(await pin(connections, options)).toBeUndefined();
});

/** Holds the lock of a checkpoint, as an app's own does while it is under way. */
const CHECKPOINT = `
import fcntl, os, sys
shm = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(shm, fcntl.LOCK_EX, 1, 121)
print("ready", flush=True)
sys.stdin.read()
`;

test.runIf(has("python3") && process.platform === "linux")(
  "a checkpoint of somebody else that is under way keeps the pin out, since what it copied is not known",
  async () => {
    const { path, connections } = await connectedLedger();
    commitOne(path);
    const child = spawn("python3", ["-c", CHECKPOINT, `${path}-shm`], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    expect(await heard({ child, kill: async () => {} }, "ready")).toBe(true);
    expect(await pin(connections, options)).toBeUndefined();
    child.stdin.end();
    expect((await pin(connections, surely))?.way).toBe("pin");
  },
);

test("without leave to checkpoint freely nothing is checkpointed while the gate is not ours", async () => {
  const { path, connections } = await connectedLedger();
  commitOne(path);
  await startBystander(path, "write");
  const before = connections.progress();
  expect(before.checkpointed).toBeLessThan(before.logged);
  await pin(connections, { ...options, checkpointFreely: false });
  expect(connections.progress()).toEqual(before);
  await pin(connections, options);
  expect(connections.progress()).toEqual({ ...before, checkpointed: before.logged });
});

test("what is too much to be copied back while writers wait is not", async () => {
  const { path, connections } = await connectedLedger();
  fillWal(path, 9 << 20);
  const before = connections.progress();
  expect(before.logged).toBeGreaterThan((8 << 20) / 4096);
  // Nothing may be copied back before the gate is shut, and behind it not so much.
  expect(await pin(connections, { ...options, checkpointFreely: false })).toBeUndefined();
  expect(connections.progress()).toEqual(before);
  expect((await pin(connections, surely))?.way).toBe("pin");
  expect(connections.progress().checkpointed).toBe(before.logged);
});

test("a checkpoint of ours neither waits for a reader nor keeps a writer out", async () => {
  const { path, connections } = await connectedLedger();
  await startBystander(path, "read");
  commitOne(path);
  const { logged } = connections.progress();
  // Busy is what every other kind would say, after it had waited.
  expect(connections.checkpoint()).toMatchObject({ busy: false, logged });
  expect(connections.progress().checkpointed).toBeLessThan(logged);
});

test("our own SQLite has no WAL-reset bug, and our connections checkpoint by no accident, map nothing and wait a little", async () => {
  const { connections } = await connectedLedger();
  const { reader } = connections;
  const [major = 0, minor = 0, patch = 0] = factsOf(reader).sqliteVersion.split(".").map(Number);
  expect(hasWalResetFix(major * 1_000_000 + minor * 1000 + patch)).toBe(true);
  const pragmas = ["wal_autocheckpoint", "mmap_size", "busy_timeout"];
  expect(pragmas.map((name) => pragmaNumber(reader, name))).toEqual([0, 0, 100]);
});

test("the versions of SQLite with the WAL-reset bug are told from those without", () => {
  const fixed = [3051003, 3051004, 3054001, 4000000, 3050007, 3050012, 3044006, 3044099];
  const broken = [0, 3007000, 3040001, 3044005, 3045000, 3050006, 3051000, 3051002];
  expect(fixed.filter((version) => !hasWalResetFix(version))).toEqual([]);
  expect(broken.filter(hasWalResetFix)).toEqual([]);
});

function commitOne(path: string): void {
  const database = new Database(path);
  database.pragma("wal_autocheckpoint = 0");
  database.exec("UPDATE counter SET v = v + 1");
  database.close();
}

/** Commits some megabytes into the WAL, as an app does that never checkpoints. */
function fillWal(path: string, bytes: number): void {
  const database = new Database(path);
  database.pragma("wal_autocheckpoint = 0");
  database.exec(`CREATE TABLE filling AS SELECT zeroblob(${bytes})`);
  database.close();
}

/** Read by another process: this one has connections, and would lose their locks. */
async function readFileElsewhere(path: string): Promise<string> {
  return execFileSync("sha256sum", [path], { encoding: "utf8" });
}
