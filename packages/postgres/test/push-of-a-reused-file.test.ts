import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseFolder } from "@lifeboat/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { faultyMemory, whole } from "../../../test/support/faulty-storage.ts";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { pushInto } from "../src/archive/push.ts";
import { readSystemIdentifier } from "../src/files/system-identifier.ts";
import { clusterFolder } from "./cluster-folder.ts";

let cluster: TestCluster;
let name: string;

beforeAll(async () => {
  cluster = await startCluster({ initdb: ["--wal-segsize=1"] });
  const [row] = await cluster.query<{ name: string }>(
    "select pg_walfile_name(pg_switch_wal()) as name",
  );
  name = row?.name as string;
});
afterAll(() => cluster?.stop());

async function folderOver(beforeReading: () => Promise<void>): Promise<DatabaseFolder> {
  const storage = faultyMemory((memory) => ({
    async create(path, content) {
      await beforeReading();
      return memory.create(path, await whole(content));
    },
  }));
  return clusterFolder({
    storage,
    database: await readSystemIdentifier(cluster.dataDirectory),
  });
}

const stored = (folder: DatabaseFolder) => Array.fromAsync(folder.listLog());

test("a segment whose file the server has begun to use again while the repository took its time is not stored", async () => {
  const directory = cluster.dataDirectory;
  const slow = await folderOver(async () => {
    const file = await open(join(directory, "pg_wal", name), "r+");
    const { bytesRead, buffer } = await file.read(Buffer.alloc(8192), 0, 8192, 8192);
    expect(bytesRead).toBe(8192);
    await file.write(buffer, 0, 8192, 8192);
    await file.close();
  });
  await expect(pushInto(slow, { directory, name })).rejects.toMatchObject({
    code: "WAL_UNREADABLE",
    message: expect.stringContaining("written to"),
  });
  expect(await stored(slow)).toEqual([]);
  const quick = await folderOver(async () => {});
  await pushInto(quick, { directory, name });
  const [{ name: log } = { name: "" }] = await stored(quick);
  const content = Buffer.concat(await Array.fromAsync(quick.readLog(log)));
  expect(content.equals(await readFile(join(directory, "pg_wal", name)))).toBe(true);
});
