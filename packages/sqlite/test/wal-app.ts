import { open } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { onTestFinished } from "vitest";
import { makeLedger, testFolder } from "../../../test/support/sqlite.ts";
import type { HolderInit } from "../src/watch/holding.ts";
import { WATCH_LIMITS } from "../src/watch/limits.ts";
import { WalHolder } from "../src/watch/wal-holder.ts";

/** A database with one commit in its WAL, and an app that has it open and never checkpoints. */
export async function walApp(): Promise<{
  readonly path: string;
  readonly app: Database.Database;
  commit(): void;
}> {
  const path = join(await testFolder(), "app.db");
  makeLedger(path);
  const app = new Database(path, { timeout: 100 });
  onTestFinished(() => {
    app.close();
  });
  app.pragma("wal_autocheckpoint = 0");
  const commit = () => {
    app.exec("UPDATE counter SET v = v + 1");
  };
  commit();
  return { path, app, commit };
}

/** One that is closed at the test's end. */
export function holderOf(path: string, init: Partial<HolderInit> = {}): WalHolder {
  const holder = new WalHolder({
    ...{ path, pageSize: 4096, checkpointFreely: true, limits: WATCH_LIMITS },
    found: () => {},
    mayBeginAnew: () => true,
    ...init,
  });
  onTestFinished(() => holder.close());
  return holder;
}

/** How many frames the WAL has, and how many of them are copied back. */
export function progressOf(app: Database.Database): { log: number; checkpointed: number } {
  const [row] = app.pragma("wal_checkpoint(NOOP)") as { log: number; checkpointed: number }[];
  return row ?? { log: -1, checkpointed: -1 };
}

/** As a disk gives back another block than was written: the newest frame of the WAL. */
export async function spoilNewest(path: string): Promise<void> {
  const file = await open(`${path}-wal`, "r+");
  const { size } = await file.stat();
  await file.write(Buffer.from([0xff]), 0, 1, size - 100);
  await file.close();
}
