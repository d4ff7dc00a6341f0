import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointWindow } from "../src/checkpoint-window.ts";

const NEVER = Number.POSITIVE_INFINITY;
const AT_FIRST = 250;

let folder: string;
let db: Database.Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "window-"));
  db = new Database(join(folder, "app.db"));
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = OFF");
  db.pragma("wal_autocheckpoint = 0");
  db.defaultSafeIntegers(true);
  db.exec("CREATE TABLE t(v)");
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

const frames = () => db.prepare<[], bigint[]>("PRAGMA wal_checkpoint(NOOP)").raw().get()?.[1];

function growWal(): void {
  const insert = db.prepare("INSERT INTO t(v) VALUES (1)");
  for (let commit = 0; commit < 600; commit++) insert.run();
  expect(frames()).toBeGreaterThan(500n);
}

describe("between two reads of a long walk", () => {
  it("the WAL of a product at work is begun anew first, once it has grown", async () => {
    growWal();
    const writer = fork(fileURLToPath(new URL("./late-checkpointer.ts", import.meta.url)), [
      join(folder, "app.db"),
    ]);
    try {
      await once(writer, "message");
      writer.send("begin");
      // Before it has begun nobody writes: that would end the wait.
      new CheckpointWindow(db, { forReset: NEVER, forIdle: NEVER, relent: AT_FIRST }).await();
      expect(frames()).toBeLessThan(500n);
    } finally {
      writer.disconnect();
      await once(writer, "exit");
    }
  });

  it("nobody is waited for where nobody writes, and none is asked again soon", () => {
    growWal();
    const window = new CheckpointWindow(db, { forReset: NEVER, forIdle: 2, relent: NEVER });
    window.await();
    // It would throw if it asked.
    db.close();
    window.await();
  });

  it("a product that does not checkpoint is waited for no longer than patience lasts", () => {
    growWal();
    new CheckpointWindow(db, { forReset: 2, forIdle: NEVER, relent: AT_FIRST }).await();
    expect(frames()).toBeGreaterThan(500n);
  });

  it("nothing is waited for in another journal mode", () => {
    growWal();
    db.pragma("journal_mode = DELETE");
    new CheckpointWindow(db, { forReset: NEVER, forIdle: NEVER, relent: AT_FIRST }).await();
    expect(frames()).toBe(-1n);
  });

  it("nothing is waited for within a transaction, which holds the WAL anyway", () => {
    growWal();
    db.exec("BEGIN");
    db.prepare("SELECT count(*) FROM t").get();
    new CheckpointWindow(db, { forReset: NEVER, forIdle: NEVER, relent: AT_FIRST }).await();
    expect(db.inTransaction).toBe(true);
  });
});
