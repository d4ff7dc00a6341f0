import { execFileSync } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { has } from "../../../test/support/outside-programs.ts";
import {
  makeLedger,
  startBystander,
  startWriter,
  testFolder,
} from "../../../test/support/sqlite.ts";
import { hasWalResetFix, pin } from "../src/pin.ts";
import { RawReader } from "../src/raw-reader.ts";
import { WalConnections } from "../src/wal-connections.ts";

const signal = new AbortController().signal;
const options = { pageSize: 4096, checkpointFreely: true, patienceMs: 300, signal };

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
    const held = await pin(connections, options);
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

test.runIf(process.platform === "linux")(
  "the pin is a reader on read lock 0, and reading the file by the raw reader loses no lock",
  async () => {
    const { path, connections } = await connectedLedger();
    await startWriter(path, { rate: 500 });
    const held = await pin(connections, options);
    // Byte 123 of the -shm is WAL_READ_LOCK(0).
    expect(await ownLocks(`${path}-shm`)).toContain("READ 123 123");
    const locked = await ownLocks(path);
    const reader = new RawReader();
    await reader.peek(path, 0, 100);
    await reader.copy(path, `${path}.copy`, signal);
    await reader.close();
    expect(await ownLocks(`${path}-shm`)).toContain("READ 123 123");
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

/** Read by another process: this one has connections, and would lose their locks. */
async function readFileElsewhere(path: string): Promise<string> {
  return execFileSync("sha256sum", [path], { encoding: "utf8" });
}

async function ownLocks(path: string): Promise<string[]> {
  const { ino } = await stat(path);
  const lines = (await readFile("/proc/locks", "utf8"))
    .split("\n")
    .map((l) => l.trim().split(/\s+/));
  return lines
    .filter((fields) => fields[4] === `${process.pid}` && fields[5]?.endsWith(`:${ino}`))
    .map((fields) => `${fields[3]} ${fields[6]} ${fields[7]}`);
}
