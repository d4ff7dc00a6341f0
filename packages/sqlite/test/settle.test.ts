import { writeFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { settle } from "../src/watch/settle.ts";

async function file(): Promise<string> {
  const path = join(tmpdir(), `lifeboat-settle-${process.pid}-${performance.now()}`);
  await writeFile(path, "x");
  onTestFinished(() => rm(path));
  return path;
}

const settling = {
  copyBack: () => true,
  whileGated: <T>(inside: () => T) => inside(),
  isCopiedBack: () => true,
};

test("a file is at rest once the file system's clock has ticked since the last write", async () => {
  const path = await file();
  let writes = 2;
  const busy = { ...settling, isCopiedBack: () => writeAgain() };
  const writeAgain = () => {
    if (writes-- > 0) writeFileSync(path, "y");
    return true;
  };
  const rest = settle(path, busy);
  expect(rest).toMatchObject({ size: "1" });
  expect(writes).toBeLessThan(0);
});

test("a file is not at rest while something of its WAL is not copied back, or a writer keeps the gate", async () => {
  const path = await file();
  expect(settle(path, { ...settling, copyBack: () => false })).toBeUndefined();
  expect(settle(path, { ...settling, isCopiedBack: () => false })).toBeUndefined();
  const kept = () => {
    throw new Database.SqliteError("database is locked", "SQLITE_BUSY");
  };
  expect(settle(path, { ...settling, whileGated: kept })).toBeUndefined();
});
